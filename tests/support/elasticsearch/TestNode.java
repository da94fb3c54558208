import java.io.PrintStream;
import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.http.HttpServerTransport;
import org.elasticsearch.node.Node;

/**
 * One Elasticsearch node in this process, 8.x or 9.x, made from the published jars.
 *
 * Usage: TestNode HOME setting=value…
 * Prints "HTTP-PORT n" once it listens. Ends when its standard input ends: the test run that holds the other
 * end of the pipe can't die without taking the node along, however it dies.
 */
public class TestNode {
  public static void main(String[] args) throws Exception {
    PrintStream ready = System.out; // the server turns System.out into a log
    Path home = Path.of(args[0]).toAbsolutePath();
    Settings.Builder settings = Settings.builder()
        .put("path.home", home.toString())
        .put("network.host", "127.0.0.1");
    for (int i = 1; i < args.length; i++) {
      String[] pair = args[i].split("=", 2);
      settings.put(pair[0], pair[1]);
    }
    Environment environment = new Environment(settings.build(), home.resolve("config"));
    LogConfigurator.registerErrorListener();
    LogConfigurator.configure(environment, true);
    Node node = create(environment);
    node.start();
    HttpServerTransport http = node.injector().getInstance(HttpServerTransport.class);
    ready.println("HTTP-PORT " + http.boundAddress().publishAddress().getPort());
    ready.flush();
    while (System.in.read() >= 0) {
      // nothing is ever sent: only the end of the stream matters
    }
    node.close();
    System.exit(0);
  }

  /** 9.x asks for a loader of plugins that 8.x does not have: reflection lets one file serve both. */
  private static Node create(Environment environment) throws Exception {
    Class<?> loader;
    try {
      loader = Class.forName("org.elasticsearch.plugins.PluginsLoader");
    } catch (ClassNotFoundException version8) {
      return Node.class.getConstructor(Environment.class).newInstance(environment);
    }
    Object modules = loader.getMethod("loadModulesBundles", Path.class).invoke(null, folder(environment, "modulesDir"));
    Object plugins = loader.getMethod("loadPluginsBundles", Path.class).invoke(null, folder(environment, "pluginsDir"));
    Object made = loader.getMethod("createPluginsLoader", Set.class, Set.class, Map.class)
        .invoke(null, modules, plugins, Map.of());
    return Node.class.getConstructor(Environment.class, loader).newInstance(environment, made);
  }

  private static Object folder(Environment environment, String method) throws Exception {
    return Environment.class.getMethod(method).invoke(environment);
  }
}
