"""What wumu says about itself: once when it lasts, once when it is over."""

from daemon.watch import PATIENCE_MS, Trouble, Watch

DOWN = Trouble.STORE_UNAVAILABLE
LIMIT = PATIENCE_MS[DOWN]


def test_a_short_trouble_is_not_worth_a_message() -> None:
    watch = Watch()
    watch.seen(DOWN, "", "gone", 0)
    assert watch.words(LIMIT - 1) == ()
    watch.seen(DOWN, "", "", LIMIT)
    assert watch.words(10 * LIMIT) == ()


def test_a_lasting_trouble_is_told_once_with_its_newest_detail_and_its_end_once() -> None:
    watch = Watch()
    watch.seen(DOWN, "", "gone", 1_000)
    watch.seen(DOWN, "", "still gone", 2_000)
    (word,) = watch.words(1_000 + LIMIT)
    assert (word.trouble, word.detail, word.since_ms, word.over) == (DOWN, "still gone", 1_000, False)
    assert watch.words(1_000 + LIMIT) == (word,), "it is given until it was said"
    watch.said(word)
    assert watch.words(2 * LIMIT) == ()
    assert watch.troubles == {"store_unavailable": "still gone"}
    watch.seen(DOWN, "", "", 3 * LIMIT)
    (word,) = watch.words(3 * LIMIT)
    assert word.over
    assert watch.troubles == {}
    watch.said(word)
    assert watch.words(9 * LIMIT) == ()


def test_what_ended_while_it_was_being_said_is_over_too() -> None:
    watch = Watch()
    watch.seen(DOWN, "", "gone", 0)
    (word,) = watch.words(LIMIT)
    watch.seen(DOWN, "", "", LIMIT)
    watch.said(word)
    assert [(word.over, word.since_ms) for word in watch.words(LIMIT)] == [(True, 0)]


def test_troubles_of_different_names_are_apart() -> None:
    watch = Watch()
    for name in ("a", "b"):
        watch.seen(Trouble.RULE_FAILING, name, "bug", 0)
    watch.seen(Trouble.RULE_FAILING, "a", "", 1)
    assert [word.name for word in watch.words(PATIENCE_MS[Trouble.RULE_FAILING])] == ["b"]
