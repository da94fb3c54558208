"""Incidents of clocks and log shipping, and changes of traffic that nobody should be told of."""

import numpy as np

from benchmarks.scenarios.fleet import HOSTS
from benchmarks.scenarios.registry import Scene, Told, incident
from benchmarks.scenarios.traffic import HOUR_MS, MINUTE_MS, bursts, joined, pictures_of
from benchmarks.scenarios.truth import Wanted


@incident()
def host_silent(scene: Scene) -> Told:
    """One host is gone; the others serve what it would have served."""
    host = scene.any_host()
    hit = scene.on_host(host)
    others = np.delete(np.arange(len(HOSTS)), host)
    scene.pictures.host[hit] = scene.random.choice(others, size=int(hit.sum()))
    return Told(causes=(("host", HOSTS[host]),))


@incident(stepwise=True)
def clock_off_by_an_hour(scene: Scene) -> Told:
    """The clock of one host is set back by an hour."""
    host = scene.any_host()
    scene.pictures.clock_ms[scene.on_host(host)] = -HOUR_MS
    return Told(causes=(("host", HOSTS[host]),))


@incident(wanted=Wanted.NO, stepwise=True)
def shipped_twice(scene: Scene) -> Told:
    """A log shipper lost its place and sends the last twenty minutes once more, again and again: nothing happened."""
    scene.pictures.again_ms[scene.now] = 20 * MINUTE_MS
    return Told()


@incident(wanted=Wanted.NO, stepwise=True)
def shipped_late(scene: Scene) -> Told:
    """The log shipper of one host sends in batches of ninety seconds: its events come late, and all come."""
    hit = scene.on_host(scene.any_host())
    at_ms = scene.pictures.at_ms[hit]
    scene.pictures.late_ms[hit] = -at_ms % 90_000
    return Told()


@incident(wanted=Wanted.NO)
def traffic_doubled(scene: Scene) -> Told:
    """A campaign: twice as many pictures of every kind."""
    times = bursts(scene.random, scene.start_ms, scene.end_ms)
    more = pictures_of(scene.fleet, scene.random, times, "campaign")
    scene.pictures = joined(scene.pictures, more)
    return Told()


@incident(180, wanted=Wanted.NO)
def holiday(scene: Scene) -> Told:
    """A working day as quiet as a Sunday, and quieter: a third of the pictures come, from everywhere."""
    scene.pictures = scene.pictures.take(~scene.some(scene.now, 2 / 3))
    return Told()
