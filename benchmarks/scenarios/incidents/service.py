"""Incidents of hosts, models and releases."""

import numpy as np

from benchmarks.scenarios.fleet import HOSTS
from benchmarks.scenarios.registry import Scene, Told, incident
from benchmarks.scenarios.truth import Cause, Onset, Symptom
from detectors.condition import any_of, equals

INFERENCE = equals("event_type", "inference_complete")
PREPROCESS = equals("event_type", "preprocess_complete")
COLOUR = (0, 1)
"""The large models, which see colour; digits are grey whatever the order of channels."""
SLOW_INFERENCE = Symptom(where=INFERENCE, field="duration_ms")
LOW_SCORE = Symptom(where=INFERENCE, field="top1_score", high=False)


def _host(host: int) -> tuple[Cause, ...]:
    return (("host", HOSTS[host]),)


def _model(scene: Scene, model: int) -> tuple[Cause, ...]:
    return (("model_name", scene.fleet.models[model].name),)


@incident()
def gpu_throttled(scene: Scene) -> Told:
    """A hot GPU lowers its clock: every inference of one host takes twice as long."""
    host = scene.any_host()
    scene.pictures.inference_ms[scene.on_host(host)] *= 2.0
    return Told(causes=_host(host), symptom=SLOW_INFERENCE)


@incident()
def noisy_neighbour(scene: Scene) -> Told:
    """Another tenant takes the processor now and then: four pictures in ten of one host are slow in every stage."""
    host = scene.any_host()
    hit = scene.some(scene.on_host(host), 0.4)
    factor = scene.random.uniform(2.0, 4.0, int(hit.sum()))
    scene.pictures.preprocess_ms[hit] *= factor
    scene.pictures.inference_ms[hit] *= factor
    return Told(causes=_host(host), symptom=SLOW_INFERENCE)


@incident()
def canary(scene: Scene) -> Told:
    """One host tries a new version of a large model, which takes two and a half times as long there."""
    host, model = scene.any_host(), scene.any_model(COLOUR)
    scene.pictures.inference_ms[scene.on_host(host) & scene.of_model(model)] *= 2.5
    return Told(causes=(*_host(host), *_model(scene, model)), symptom=SLOW_INFERENCE)


@incident(25)
def warm_up_after_deploy(scene: Scene) -> Told:
    """After a deployment that nobody marked a model compiles its kernels: four times as slow, better by and by."""
    model = scene.any_model(COLOUR)
    hit = scene.of_model(model)
    scene.pictures.inference_ms[hit] *= 1 + 3 * (1 - scene.progress[hit])
    return Told(causes=_model(scene, model), symptom=SLOW_INFERENCE)


@incident()
def batch_size_changed(scene: Scene) -> Told:
    """A setting makes batches of 32 instead of 8 for a large model: each takes longer."""
    model = scene.any_model(COLOUR)
    hit = scene.of_model(model)
    scene.pictures.batch_size[hit] = 32
    scene.pictures.inference_ms[hit] *= 2.2
    return Told(causes=(*_model(scene, model), ("batch_size", "32")), symptom=SLOW_INFERENCE)


@incident()
def fallen_back_to_cpu(scene: Scene) -> Told:
    """The driver is gone and one host goes on without its GPU."""
    host = scene.any_host()
    hit = scene.on_host(host)
    scene.pictures.device[hit] = "cpu"
    scene.pictures.inference_ms[hit] *= 6.0
    return Told(causes=(*_host(host), ("device", "cpu")), symptom=SLOW_INFERENCE)


@incident(240, onset=Onset.GRADUAL)
def memory_leak(scene: Scene) -> Told:
    """One host grows slower hour by hour until it takes twice as long."""
    host = scene.any_host()
    hit = scene.on_host(host)
    scene.pictures.inference_ms[hit] *= 1 + scene.progress[hit]
    return Told(causes=_host(host), symptom=SLOW_INFERENCE)


@incident()
def out_of_memory(scene: Scene) -> Told:
    """Something else fills the memory of one GPU: every sixth inference there fails."""
    host = scene.any_host()
    hit = scene.some(scene.on_host(host) & (scene.pictures.reason == ""), 1 / 6)
    scene.pictures.failure[hit] = "model_out_of_memory"
    failed = equals("reason", "model_out_of_memory")
    return Told(causes=_host(host), symptom=Symptom(where=any_of(INFERENCE, failed), bad=failed))


@incident()
def server_errors(scene: Scene) -> Told:
    """The web front of one host answers every fourth request with 503."""
    host = scene.any_host()
    scene.pictures.http_status[scene.some(scene.on_host(host), 0.25)] = 503
    answers = equals("event_type", "business_output")
    return Told(causes=_host(host), symptom=Symptom(where=answers, bad=equals("http_status", 503)))


@incident()
def queue_stuck(scene: Scene) -> Told:
    """The workers of one host hang: requests begin there and never end."""
    host = scene.any_host()
    scene.pictures.hangs[scene.on_host(host)] = True
    return Told(causes=_host(host))


@incident()
def wrong_channel_order(scene: Scene) -> Told:
    """A release of a colour model forgets to turn BGR into RGB: less sure, and often wrong."""
    model = scene.any_model(COLOUR)
    hit = scene.of_model(model)
    scene.pictures.conversion[hit] = "none"
    scene.pictures.score[hit] **= 1.8
    wrong = scene.some(hit, 0.35)
    labels = len(scene.fleet.models[model].labels)
    scene.pictures.label[wrong] = scene.random.integers(labels, size=int(wrong.sum())) // 2
    return Told(causes=(*_model(scene, model), ("channel_conversion", "none")), symptom=LOW_SCORE)


@incident()
def label_file_shifted(scene: Scene) -> Told:
    """The label file of one model lost its first line: every answer is the next label, as sure as ever."""
    model = scene.any_model()
    hit = scene.of_model(model)
    scene.pictures.label[hit] = (scene.pictures.label[hit] + 1) % len(scene.fleet.models[model].labels)
    return Told(causes=_model(scene, model))


@incident()
def answer_stuck(scene: Scene) -> Told:
    """Broken weights on one host: it gives the same answer to two pictures in three."""
    host = scene.any_host()
    hit = scene.some(scene.on_host(host), 2 / 3)
    last = np.array([len(model.labels) - 1 for model in scene.fleet.models])
    scene.pictures.label[hit] = last[scene.pictures.model[hit]]
    scene.pictures.score[hit] = 0.97
    labels = tuple(("top1_label", model.labels[-1]) for model in scene.fleet.models)
    return Told(causes=(*_host(host), *labels))


@incident()
def overconfident(scene: Scene) -> Told:
    """A release of one model lost its calibration: nearly every score is close to one."""
    model = scene.any_model()
    hit = scene.of_model(model)
    scene.pictures.score[hit] = 1 - (1 - scene.pictures.score[hit]) ** 2 / 4
    return Told(causes=_model(scene, model), symptom=Symptom(where=INFERENCE, field="top1_score"))
