"""Incidents of cameras, folders, clients and the pictures they send."""

from dataclasses import replace

from benchmarks.scenarios.fleet import NEW_FOLDER
from benchmarks.scenarios.incidents.service import LOW_SCORE, PREPROCESS
from benchmarks.scenarios.registry import Scene, Told, incident
from benchmarks.scenarios.truth import Cause, Onset, Symptom
from detectors.condition import any_of, equals

READ = any_of(equals("event_type", "input_error"), equals("event_type", "input_success"))
UNREAD = Symptom(where=READ, bad=equals("event_type", "input_error"))


def _told(scene: Scene, folder: int, symptom: Symptom, *more: Cause) -> Told:
    """The folder is the cause, or its client; its model is touched, and what is looked at."""
    place = scene.fleet.folders[folder]
    model = ("model_name", scene.fleet.models[place.model].name)
    return Told(
        causes=(("file_dir", place.path), ("client_ip", place.client_ip), *more),
        touched=(model,),
        symptom=replace(symptom, key=(model,)),
    )


@incident()
def slow_disk(scene: Scene) -> Told:
    """The mount of one folder is slow: reading and preparing its pictures takes five times as long."""
    folder = scene.any_folder(camera=True)
    scene.pictures.preprocess_ms[scene.in_folder(folder)] *= 5.0
    return _told(scene, folder, Symptom(where=PREPROCESS, field="duration_ms"))


@incident()
def dark_camera(scene: Scene) -> Told:
    """A camera's light is out: black pictures, guesses, mostly the same label."""
    folder = scene.any_folder(camera=True)
    hit = scene.in_folder(folder)
    count = int(hit.sum())
    scene.pictures.mean[hit] = -1.9 + scene.random.normal(0, 0.03, count)
    scene.pictures.variance[hit] = 0.02 + scene.random.random(count) * 0.02
    scene.pictures.score[hit] = scene.random.uniform(0.08, 0.35, count)
    scene.pictures.label[hit] = len(scene.fleet.models[scene.fleet.folders[folder].model].labels) - 1
    return _told(scene, folder, LOW_SCORE)


@incident(300, onset=Onset.GRADUAL)
def lens_dirt(scene: Scene) -> Told:
    """Dirt settles on one lens: contrast and scores sink over hours."""
    folder = scene.any_folder(camera=True)
    hit = scene.in_folder(folder)
    done = scene.progress[hit]
    scene.pictures.variance[hit] *= 1 - 0.7 * done
    scene.pictures.score[hit] **= 1 + 3 * done
    return _told(scene, folder, LOW_SCORE)


@incident(240, onset=Onset.GRADUAL)
def light_fades(scene: Scene) -> Told:
    """A lamp grows old: the pictures of one camera become darker, and the model less sure."""
    folder = scene.any_folder(camera=True)
    hit = scene.in_folder(folder)
    done = scene.progress[hit]
    scene.pictures.mean[hit] -= 1.2 * done
    scene.pictures.score[hit] **= 1 + 2 * done
    return _told(scene, folder, LOW_SCORE)


@incident()
def grey_pictures(scene: Scene) -> Told:
    """A client begins to send grey pictures: one channel, and the model has seen only colour."""
    folder = scene.any_folder(camera=False)
    hit = scene.in_folder(folder)
    scene.pictures.channels[hit] = 1
    scene.pictures.conversion[hit] = "gray_to_rgb"
    scene.pictures.score[hit] **= 3.0
    more = (("channels", "1"), ("channel_conversion", "gray_to_rgb"))
    return _told(scene, folder, Symptom(where=PREPROCESS, bad=equals("channel_conversion", "gray_to_rgb")), *more)


@incident()
def sixteen_bit_scanner(scene: Scene) -> Told:
    """A client's new scanner sends sixteen bits a channel, which come out nearly black."""
    folder = scene.any_folder(camera=False)
    hit = scene.in_folder(folder)
    scene.pictures.dtype[hit] = "uint16"
    scene.pictures.mean[hit] = -1.7 + 0.1 * scene.pictures.mean[hit]
    scene.pictures.variance[hit] *= 0.1
    scene.pictures.score[hit] **= 4.0
    return _told(scene, folder, LOW_SCORE, ("dtype", "uint16"))


@incident()
def thumbnails(scene: Scene) -> Told:
    """A client sends its previews instead of its pictures: 32 by 32 pixels, blurred when enlarged."""
    folder = scene.any_folder(camera=False)
    hit = scene.in_folder(folder)
    scene.pictures.height[hit] = scene.pictures.width[hit] = 32
    scene.pictures.preprocess_ms[hit] *= 0.4
    scene.pictures.variance[hit] *= 0.4
    scene.pictures.score[hit] **= 3.0
    return _told(scene, folder, LOW_SCORE)


@incident()
def new_product_range(scene: Scene) -> Told:
    """Pictures of goods that the model was never taught come from a new folder: low scores, a few labels for all."""
    folder = next(n for n, one in enumerate(scene.fleet.folders) if one.path == NEW_FOLDER)
    hit = scene.add(folder, 0.15)
    count = int(hit.sum())
    scene.pictures.score[hit] = scene.random.beta(3, 6, count)
    scene.pictures.label[hit] = 40 + scene.random.integers(4, size=count)
    return replace(_told(scene, folder, LOW_SCORE), changed=frozenset({"file_dir", "top1_score", "top1_label"}))


@incident()
def upload_folder_broken(scene: Scene) -> Told:
    """Nobody may read what one client uploads: rights were lost on most of its files."""
    folder = scene.any_folder(camera=False)
    hit = scene.some(scene.in_folder(folder), 0.8)
    scene.pictures.reason[hit] = "file_permission_denied"
    return _told(scene, folder, UNREAD, ("reason", "file_permission_denied"))


@incident()
def truncated_uploads(scene: Scene) -> Told:
    """The line to one client breaks off: four in ten of its pictures end too early."""
    folder = scene.any_folder(camera=False)
    hit = scene.some(scene.in_folder(folder), 0.4)
    scene.pictures.reason[hit] = "image_truncated"
    return _told(scene, folder, UNREAD, ("reason", "image_truncated"))


@incident()
def paths_from_a_chat(scene: Scene) -> Told:
    """Somebody pastes paths from a chat client that puts a zero-width space behind each."""
    folder = scene.any_folder(camera=False)
    hit = scene.some(scene.in_folder(folder), 0.5)
    scene.pictures.suffix[hit] = "\u200b"
    scene.pictures.reason[hit] = "path_invisible_character"
    return _told(scene, folder, UNREAD, ("reason", "path_invisible_character"))


@incident()
def camera_turned_away(scene: Scene) -> Told:
    """A camera is turned to something else: the same model sees other things, and is less sure of them."""
    folder = scene.any_folder(camera=True)
    hit = scene.in_folder(folder)
    labels = len(scene.fleet.models[scene.fleet.folders[folder].model].labels)
    scene.pictures.label[hit] = labels // 2 + scene.pictures.label[hit] // 4
    scene.pictures.score[hit] **= 2.5
    scene.pictures.mean[hit] += 0.8
    return _told(scene, folder, LOW_SCORE)
