"""A configuration that loses the uplink is taken back; one that was changed while there was none is left alone."""

from edge.gateway.trial import SETTLE_S, TRIAL_S, Trial, Verdict


def test_reaching_the_uplink_for_a_while_confirms():
    trial = Trial(100.0, was_connected=True)
    assert trial.look(101.0, is_connected=True) is Verdict.WAIT
    assert trial.look(101.0 + SETTLE_S, is_connected=True) is Verdict.CONFIRM


def test_a_connection_that_breaks_at_once_does_not_count():
    trial = Trial(100.0, was_connected=True)
    for second in range(int(TRIAL_S)):
        assert trial.look(100.0 + second, is_connected=second % 3 == 0) is Verdict.WAIT
    assert trial.look(100.0 + TRIAL_S, is_connected=False) is Verdict.ROLL_BACK


def test_an_uplink_that_is_lost_is_reason_to_go_back_within_120_s():
    """Row 3 of docs/field_failures.md."""
    trial = Trial(0.0, was_connected=True)
    assert trial.look(TRIAL_S - 1, is_connected=False) is Verdict.WAIT
    assert trial.look(TRIAL_S, is_connected=False) is Verdict.ROLL_BACK
    assert TRIAL_S + SETTLE_S < 120


def test_a_change_made_while_offline_is_never_taken_back_for_being_offline():
    trial = Trial(0.0, was_connected=False)
    assert trial.look(10 * TRIAL_S, is_connected=False) is Verdict.WAIT
    assert trial.look(10 * TRIAL_S, is_connected=True) is Verdict.WAIT
    assert trial.look(10 * TRIAL_S + SETTLE_S, is_connected=True) is Verdict.CONFIRM
