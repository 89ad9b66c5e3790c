"""What the watch makes of numbers: intervals that never go below zero, rules with a memory, a file of bounded size."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from datetime import date
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dixis_tui.config import Trigger, Watch
from dixis_tui.monitoring.counters import redacted
from dixis_tui.monitoring.growth import growth
from dixis_tui.monitoring.samples import COUNTS, METRICS, Reading, Sample, between, coarse, edge_ms, merged, within
from dixis_tui.monitoring.samplestore import DAY, Lease, Store, StoreError
from dixis_tui.monitoring.triggers import Crossing, Rule, judge, rules
from screens import plots

SLOW = 2000.0
P95 = Rule("p95_ms", 100.0, minutes=5.0)
MONDAY = 19_676 * DAY


def reading(at: float, uptime: float, times: dict[str, float], **counts: float) -> Reading:
    return Reading(at, uptime, counts, {"connections": 1.0}, {key: (n, 0.0) for key, n in times.items()}, "histogram")


def test_times_are_those_between_two_readings_not_since_the_start() -> None:
    before = reading(1000, 500, {"2": 10.0, "5000": 990.0}, slow=7)
    now = reading(1015, 515, {"2": 108.0, "5000": 990.0, "80": 2.0}, slow=7)
    sample = between(before, now, slow_ms=SLOW)
    assert (sample.values["p50_ms"], sample.values["p99_ms"]) == (2.0, 80.0)
    assert sample.values["slow"] == 0  # counted from the times, whatever the server calls slow
    assert sample.seconds == 15


def test_averages_by_digest_are_of_the_interval_too() -> None:
    before = Reading(0, 900, {}, {}, {"a": (1000.0, 900_000.0), "b": (10.0, 100.0)}, "digests")
    now = Reading(15, 915, {}, {}, {"a": (1090.0, 900_090.0), "b": (20.0, 2100.0)}, "digests")
    sample = between(before, now, slow_ms=SLOW)
    assert (sample.values["p50_ms"], sample.values["p95_ms"]) == (1.0, 200.0)


def test_a_restart_is_recognised_and_counted_from_zero() -> None:
    before = reading(1000, 500, {"2": 100.0}, slow=7, deadlocks=3)
    now = reading(1030, 20, {"2": 8.0}, slow=1, deadlocks=0)
    sample = between(before, now, slow_ms=SLOW)
    assert sample.restarted
    assert (sample.seconds, sum(sample.histogram.values()), sample.values["deadlocks"]) == (20, 8, 0)
    # Also where the new one has already run longer than the old one had.
    assert between(reading(1000, 5, {}), reading(1030, 20, {}), slow_ms=SLOW).restarted
    assert not between(reading(1000, 5, {}), reading(1030, 35, {}), slow_ms=SLOW).restarted


def test_an_old_reading_tells_nothing_about_now() -> None:
    sample = between(reading(0, 100, {"2": 5.0}), reading(90_000, 90_100, {"2": 50_000.0}), slow_ms=SLOW)
    assert (sample.seconds, sample.histogram, "p95_ms" in sample.values) == (0, {}, False)


numbers = st.floats(0, 1e9)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(numbers, numbers, st.dictionaries(st.sampled_from(["1", "50", "3000"]), numbers)), min_size=2)
)
def test_no_number_is_ever_negative(story: Sequence[tuple[float, float, dict[str, float]]]) -> None:
    """Whatever a server's counters do: grow, jump, fall back to nothing."""
    readings = [reading(15.0 * n, up, times, statements=c, deadlocks=c) for n, (up, c, times) in enumerate(story)]
    for before, now in pairwise(readings):
        sample = between(before, now, slow_ms=SLOW)
        assert sample.seconds >= 0
        assert all(value >= 0 for value in (*sample.values.values(), *sample.histogram.values()))


def test_samples_put_together_add_up_and_keep_their_worst() -> None:
    one = Sample(15, 15, values={"slow": 1, "connections": 9, "max_connections": 10}, histogram=coarse([(5, 90)]))
    two = Sample(30, 15, values={"slow": 2, "connections": 2, "max_connections": 10}, histogram=coarse([(150, 10)]))
    whole = merged([one, two])
    assert (whole.seconds, whole.values["slow"]) == (30, 3)
    assert METRICS["connections_percent"].of(whole) == 90
    assert within(whole.histogram, 100) == 0.9
    assert [edge_ms(edge) for edge in coarse([(100, 1), (100.1, 1)])] == [100, 125.9]


# Rules


def told(rule: Rule, values: Sequence[float | None], *, step: float = 60.0) -> tuple[list[Crossing], Crossing | None]:
    """What a rule makes of values, one a step: the crossings that ended, and the one that is open."""
    ended, crossing = [], None
    for number, value in enumerate(values, 1):
        sample = Sample(number * step, step, values={} if value is None else {rule.metric: value})
        over, crossing = judge(rule, crossing, sample, clear_minutes=2)
        ended += [over] if over else []
    return ended, crossing


def test_a_spike_is_recorded_but_no_trigger() -> None:
    ended, crossing = told(P95, [20, 300, 400, 20, 20])
    assert crossing is None
    assert [(one.begun, one.ended, one.worst, one.stood) for one in ended] == [(60, 180, 400, None)]


def test_what_lasts_stands_and_falls_only_when_it_is_well_for_a_while() -> None:
    _, crossing = told(P95, [150] * 5)
    assert crossing is not None
    assert crossing.stood == 300
    _, still = told(P95, [150] * 5 + [95, 95, 95, 50])  # 95 is under the limit, but too near to it
    assert still is not None
    assert still.eased == 480
    ended, none = told(P95, [150] * 5 + [50, 50, 50])
    assert none is None
    assert [(one.begun, one.stood, one.ended) for one in ended] == [(0, 300, 300)]
    ended, again = told(P95, [150] * 5 + [50, 150])
    assert ended == []
    assert again is not None
    assert again.eased is None


def test_what_lies_in_a_gap_does_not_make_a_trigger() -> None:
    first = Sample(60, 60, values={"p95_ms": 150})
    later = Sample(4000, 60, values={"p95_ms": 150})
    _, crossing = judge(P95, None, first, clear_minutes=2)
    ended, crossing = judge(P95, crossing, later, clear_minutes=2)
    assert ended is not None
    assert (ended.ended, ended.stood) == (60, None)
    assert crossing is not None
    assert (crossing.begun, crossing.stood) == (3940, None)


def test_a_value_that_must_not_fall_and_one_that_is_not_measured() -> None:
    hits = Rule("pool_hit_percent", 95, under=True, minutes=1)
    sample = Sample(60, 60, values={"pool_reads": 20, "pool_requests": 100})
    _, crossing = judge(hits, None, sample, clear_minutes=0)
    assert crossing is not None
    assert (crossing.worst, crossing.stood) == (80, 60)
    _, kept = judge(hits, crossing, Sample(120, 60), clear_minutes=0)
    assert kept is not None
    assert kept.stood == 60


def test_triggers_of_the_configuration_take_the_place_of_the_usual_ones() -> None:
    watch = Watch(response_ms=80, triggers=(Trigger(metric="p99_ms", over=500), Trigger(metric="down", over=0.5)))
    found = {rule.metric: rule for rule in rules(watch, 24)}
    assert found["p95_ms"].says() == "response, p95 over 80 ms for 5 min: consider rollback"
    assert found["p99_ms"].limit == 500
    assert found["down"].minutes == 5
    assert [rule.metric for rule in rules(watch, 24)].count("down") == 1
    with pytest.raises(ValueError, match="exactly one of over and under"):
        Trigger(metric="p95_ms")


# On disk


def test_old_samples_are_put_together_and_the_file_does_not_grow_for_ever(tmp_path: Path) -> None:
    store = Store(tmp_path)
    total = 0.0
    end = MONDAY + 5 * DAY
    for at in range(int(MONDAY), int(end), 900):
        for shift in (0, 20, 40):
            values = {"statements": 3.0, "p95_ms": 10.0, "database_bytes": float(at)}
            store.add(Sample(at + shift, 20, source="histogram", values=values, histogram=coarse([(10, 3)])))
            total += 3
        if at % 21600 < 900:
            store.thin(at)
    before = store.samples()
    store.thin(end)
    store.thin(end)
    after = store.samples()
    assert sum(one.values["statements"] for one in after) == total
    assert sum(one.seconds for one in after) == sum(one.seconds for one in before)
    assert after[-1] == before[-1]
    assert len([one for one in after if one.at > end - DAY]) == pytest.approx(96 * 3, abs=3)
    assert len([one for one in after if one.at <= end - DAY]) == pytest.approx(4 * 96, abs=3)
    store.thin(end + 100 * DAY)
    assert store.samples() == []
    store.close()


WRITER = """
import sys
from pathlib import Path
from dixis_tui.monitoring.samples import Reading, Sample
from dixis_tui.monitoring.samplestore import Store
store = Store(Path(sys.argv[1]))
print("begun", flush=True)
for number in range(1, 1_000_000):
    reading = Reading(float(number), 1.0, {"statements": float(number)})
    store.add(Sample(float(number), 1.0, values={"statements": 1.0}), reading=reading)
    print(number, flush=True)
"""


def test_a_process_killed_while_it_writes_leaves_whole_samples(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if line.strip() == "40":
                os.kill(writer.pid, signal.SIGKILL)
                break
    store = Store(tmp_path)
    samples, last = store.samples(), store.reading()
    assert [one.at for one in samples] == [float(n) for n in range(1, len(samples) + 1)]
    assert len(samples) >= 40
    assert last is not None
    assert last.at == samples[-1].at  # both of one transaction
    store.add(Sample(1e9, 1.0))
    store.close()


def test_looking_leaves_no_file_and_a_broken_one_is_told(tmp_path: Path) -> None:
    store = Store(tmp_path, create=False)
    assert (store.samples(), store.latest(), store.reading()) == ([], None, None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "samples.sqlite").write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        Store(tmp_path)


def test_one_process_samples_at_a_time(tmp_path: Path) -> None:
    one, other = Lease(tmp_path), Lease(tmp_path)
    assert one.acquire()
    assert not other.acquire()
    one.release()
    assert other.acquire()
    other.release()


def test_growth_is_told_by_day_and_projected() -> None:
    day = [Sample(MONDAY + n * 3600, 3600, values={"database_bytes": 1e9 + n * 1e6}) for n in range(73)]
    disks = {"disks": [{"what": "the database", "total": 1e10, "free": 2.4e8}, {"what": "else", "total": 1, "free": 0}]}
    found = growth(day, disks, 0)
    assert found.a_day == pytest.approx(24e6)
    assert found.left == pytest.approx(10)
    assert [isinstance(at, date) for at, _ in found.days] == [True] * len(found.days)
    assert growth(day, {}, quota_gib=1).left == pytest.approx(((1 << 30) - 1.072e9) / 24e6, abs=0.01)
    assert growth(day[:5], disks, 0).a_day is None


def test_a_statement_is_shown_without_its_values() -> None:
    sql = "SELECT `name` FROM users WHERE email = 'eleni@example.org' AND id IN (17, 42) /* for eleni */ LIMIT 5"
    assert redacted(sql) == "SELECT `name` FROM users WHERE email = ? AND id IN (?, ?) LIMIT ?"
    assert redacted("SELECT * FROM t WHERE a = \"x y\" AND b = x'4142'") == "SELECT * FROM t WHERE a = ? AND b = ?"
    assert redacted("SELECT * FROM t WHERE a = 'cut off in the mid") == ""


def test_a_plot_shows_its_threshold_and_what_is_past_it_without_colour() -> None:
    points = [(float(at), 150.0 if at > 8 else 50.0) for at in range(1, 11)]
    values = plots.columns(points, 0, 10, 20, lowest=False)
    shown = plots.line(values, 100.0, reach=1).plain
    assert shown.count(plots.OVER) == 3
    assert len(shown) == 20
    lines = [line.plain for line in plots.plot(values, 100.0, 6, reach=1)]
    marked = next(line for line in lines if "100 ┼" in line)
    assert plots.THRESHOLD in marked
    assert len({len(line) for line in lines}) == 1
    assert plots.line([None, 0.0], None).plain == " ▁"  # nothing measured is not the same as nothing


def test_counts_and_metrics_name_the_same_things() -> None:
    sample = Sample(60, 60, values=dict.fromkeys((*COUNTS, "connections", "max_connections"), 1.0))
    per_minute = [name for name in METRICS if name.endswith("_per_minute")]
    assert [METRICS[name].of(sample) for name in per_minute] == [1.0] * len(per_minute)
