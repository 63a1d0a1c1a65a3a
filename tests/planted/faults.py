"""The faults: what each breaks, the text that is replaced (it is there once), and the tests of which one must fail."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a file of the package, for a clause of the promises. ``tests``: by their node ids, of which one must fail."""

    clause: int
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    database: str = "sqlite"

    def fits(self, root: Path) -> bool:
        """Tell whether the text is there, and once."""
        return (root / "django_timelines" / self.file).read_text().count(self.old) == 1

    def __str__(self) -> str:
        return f"{self.clause:2} {self.breaks}"


FAULTS = (
    Fault(
        1,
        "a number is left out between two commits",
        "engine/advance.py",
        "head = before.head + len(appended)\n",
        "head = before.head + len(appended) + 1\n",
        ("tests/contract/test_1_events.py::test_a_timeline_tells_all_that_happened_in_order",),
    ),
    Fault(
        1,
        "an event does not name its cause",
        "engine/advance.py",
        'else {"cause": first, "cause_timeline": None}',
        'else {"cause": None, "cause_timeline": None}',
        ("tests/contract/test_1_events.py::test_an_event_names_its_actor_its_placement_and_its_cause",),
    ),
    Fault(
        2,
        "the stored state is that of before the events",
        "store/writing.py",
        '"state": stored(after.state), "changed_at"',
        '"state": stored(before.state), "changed_at"',
        ("tests/contract/test_1_events.py::test_a_completion_carries_exactly_the_changes",),
    ),
    Fault(
        2,
        "fields that changed are not stored",
        "store/writing.py",
        'return row if after.state["fields"] == before.state["fields"] else row | {"fields": after.state["fields"]}',
        "return row",
        ("tests/contract/test_1_events.py::test_a_completion_carries_exactly_the_changes",),
    ),
    Fault(
        3,
        "a bell is rung before the commit",
        "engine/bells.py",
        "transaction.on_commit(partial(_ring_unless_silent, bell), using=using)",
        "_ring_unless_silent(bell)",
        ("tests/contract/test_3_doorbells.py::test_a_bell_leaves_with_the_commit_and_not_with_a_rollback",),
    ),
    Fault(
        3,
        "a clock rings again for ever as often as at first",
        "engine/bells.py",
        "min(conf.LAST_RING, conf.FIRST_RING * (1 << doublings))",
        "conf.FIRST_RING",
        ("tests/contract/test_3_doorbells.py::test_the_clock_rings_ever_more_rarely",),
    ),
    Fault(
        4,
        "an exactly-once body runs in no transaction",
        "engine/execute.py",
        "if held.step.delivery is Delivery.EXACTLY_ONCE:",
        "if held.step.delivery is None:",
        ("tests/contract/test_4_delivery.py::test_an_exactly_once_body_that_fails_leaves_no_row",),
    ),
    Fault(
        4,
        "an at-most-once body that failed is tried again",
        "engine/failure.py",
        "elif step.delivery is Delivery.AT_MOST_ONCE and not failed.in_time:",
        "elif step.delivery is None:",
        ("tests/contract/test_4_delivery.py::test_an_at_most_once_body_that_fails_is_not_tried_again",),
    ),
    Fault(
        5,
        "a heartbeat writes nothing",
        "engine/leases.py",
        "store.heartbeat(using, holders, conf.lease().total_seconds())",
        "pass",
        ("tests/contract/test_5_leases.py::test_a_body_that_blocks_for_longer_than_its_lease_keeps_it_by_itself",),
    ),
    Fault(
        5,
        "no heartbeat begins in a work-horse",
        "engine/leases.py",
        'threading.Thread(target=self._beat, name="timelines-leases", daemon=True).start()',
        "pass",
        ("tests/placements/test_heartbeats.py::test_who_executes_a_body_that_blocks_keeps_its_lease_until_it_dies",),
    ),
    Fault(
        5,
        "a process that was forked takes its parent's heartbeat for its own",
        "engine/leases.py",
        "if self._pid != os.getpid():",
        "if not self._pid:",
        ("tests/hardening/test_waking.py::test_a_process_that_was_forked_keeps_its_own_leases_and_not_its_parents",),
    ),
    Fault(
        5,
        "a lease is kept although its attempt has ended",
        "engine/leases.py",
        "self._held.pop(holder, None)",
        "pass",
        ("tests/contract/test_5_leases.py::test_a_heartbeat_ends_with_its_attempt_and_with_its_limit",),
    ),
    Fault(
        5,
        "a live lease is rescued",
        "engine/clock.py",
        "if store.leases(snapshot.using, [run.pk]).get(run.pk):",
        "if False:",
        ("tests/hardening/test_waking.py::test_a_heartbeat_that_comes_just_before_the_rescue_keeps_the_attempt",),
    ),
    Fault(
        5,
        "an attempt that was overtaken completes what overtook it",
        "engine/record.py",
        "name = name_at(snapshot.state, held.fence)\n",
        "name = held.name\n",
        (
            "tests/contract/test_5_leases.py::test_a_worker_that_lost_its_lease_cannot_complete_and_its_writes_roll_back",
            "tests/contract/test_7_verbs.py::test_rewind_over_a_running_outside_effect_records_its_result_and_never_applies_it",
        ),
    ),
    Fault(
        6,
        "a timeline's row is held while a body runs",
        "engine/execute.py",
        "if runs >= OPTIMISTIC_RUNS and not held.pending:",
        "if not held.pending:",
        ("tests/contract/test_7_failures.py::test_cancel_rolls_an_exactly_once_body_back",),
        "postgres",
    ),
    Fault(
        6,
        "a deadlock of two bodies is an attempt that failed",
        "databases.py",
        'frozenset({"40001", "40P01", "55P03"})',
        'frozenset({"40001", "55P03"})',
        ("tests/races/test_deadlocks.py::test_bodies_that_lock_each_other_up_run_again_and_use_no_attempt",),
        "postgres",
    ),
    Fault(
        7,
        "a retry waits the whole of its wait, without jitter",
        "retries.py",
        "(draw() if self.jitter else 1)",
        "1",
        ("tests/contract/test_7_failures.py::test_chance_draws_each_wait_anew_from_nought_to_the_longest",),
    ),
    Fault(
        7,
        "the waits of retries have no cap",
        "retries.py",
        "min(self.cap.total_seconds(), self.wait.total_seconds() * self.factor**exponent)",
        "self.wait.total_seconds() * self.factor**exponent",
        ("tests/contract/test_7_failures.py::test_no_wait_is_longer_than_its_cap",),
    ),
    Fault(
        7,
        "the default cap is an hour",
        "retries.py",
        "cap: timedelta = timedelta(minutes=5)",
        "cap: timedelta = timedelta(hours=1)",
        ("tests/contract/test_7_failures.py::test_the_waits_double_and_are_no_longer_than_five_minutes",),
    ),
    Fault(
        7,
        "what RetryAfter says is drawn, too",
        "retries.py",
        "return error.delay\n",
        "return error.delay * draw()\n",
        ("tests/contract/test_7_failures.py::test_retry_after_is_neither_drawn_nor_capped",),
    ),
    Fault(
        7,
        "a permanent failure is tried again",
        "retries.py",
        "if attempt >= self.attempts or isinstance(error, PermanentFailure):",
        "if attempt >= self.attempts:",
        ("tests/contract/test_7_failures.py::test_a_permanent_failure_fails_at_once",),
    ),
    Fault(
        7,
        "what a superseded attempt came to is applied",
        "state/folding.py",
        'if not data.get("superseded"):',
        "if True:",
        (
            "tests/contract/test_7_verbs.py::test_rewind_over_a_running_outside_effect_records_its_result_and_never_applies_it",
        ),
    ),
    Fault(
        7,
        "a second rewind begins while the first is under way",
        "engine/rewind.py",
        'if "undoing" in state:\n        raise',
        "if False:\n        raise",
        (
            "tests/contract/test_7_verbs.py::test_a_second_one_while_the_first_is_under_way_is_refused_and_writes_nothing",
        ),
    ),
    Fault(
        8,
        "an effect that was begun is stopped by a cancel",
        "engine/cancel.py",
        "return begun and (step is None or step.delivery is not Delivery.EXACTLY_ONCE)",
        "return False",
        ("tests/contract/test_7_failures.py::test_cancel_carries_an_outside_effect_to_its_known_end",),
    ),
    Fault(
        8,
        "what completed first is undone first",
        "engine/undo.py",
        'found = max(runs, key=lambda key: runs[key]["fence"], default="")',
        'found = min(runs, key=lambda key: runs[key]["fence"], default="")',
        ("tests/contract/test_7_verbs.py::test_cancel_undoes_what_completed_the_last_first",),
    ),
    Fault(
        8,
        "a second cancel begins while the first is under way",
        "engine/operate.py",
        'if now.state.get("cancelling"):\n            raise',
        "if False:\n            raise",
        (
            "tests/contract/test_7_verbs.py::test_a_second_cancel_while_an_outside_effect_comes_to_its_end_is_refused",
            "tests/commands/test_changing.py::test_a_second_one_while_the_first_is_under_way_is_refused",
        ),
    ),
    Fault(
        9,
        "what waits for its next attempt keeps its lease",
        "engine/rows.py",
        'if was_open and old is not None and old["status"] == StepStatus.RUNNING and name != passing:',
        "if False:",
        ("tests/contract/test_7_failures.py::test_what_waits_for_its_next_attempt_is_one_row_and_holds_no_lease",),
    ),
    Fault(
        10,
        "nobody is told that no clock is there",
        "engine/explain.py",
        "reasons += _clock(timeline, runs)",
        "pass",
        ("tests/contract/test_10_calls.py::test_explain_says_what_it_waits_for_and_that_no_clock_was_seen",),
    ),
    Fault(
        10,
        "a refusal does not say which step comes first",
        "engine/judge.py",
        "if step_status(state, dependency.step) not in DONE\n",
        "if step_status(state, dependency.step) in DONE\n",
        ("tests/contract/test_10_calls.py::test_a_call_that_comes_too_early_is_refused_and_says_what_is_missing",),
    ),
    Fault(
        10,
        "the admin does not say that a timeline is being rewound",
        "admin/verbs/base.py",
        'if "undoing" in timeline.state:',
        "if False:",
        ("tests/admin/test_rewind.py::test_a_second_one_is_offered_no_more_and_refused_with_a_sentence",),
    ),
    Fault(
        11,
        "the key of a call is forgotten",
        "engine/judge.py",
        'if call.key and call.key in state.get("keys", {}):',
        "if False:",
        ("tests/contract/test_10_calls.py::test_the_same_key_has_one_effect_and_the_same_answer",),
    ),
    Fault(
        11,
        "a call that comes early is not kept",
        "engine/judge.py",
        'if status is StepStatus.UPCOMING and call.early and not run.get("early"):',
        "if False:",
        ("tests/contract/test_10_calls.py::test_an_early_call_is_kept_until_its_step_can_take_it",),
    ),
    Fault(
        12,
        "what somebody else set meanwhile is overwritten",
        "engine/record.py",
        "return [name for name in ended.changes if fields.get(name) != then.get(name)]",
        "return []",
        ("tests/contract/test_10_calls.py::test_an_outside_effect_whose_field_was_changed_meanwhile_needs_a_person",),
    ),
    Fault(
        12,
        "a body whose field was changed meanwhile does not run again",
        "engine/record.py",
        "if may_rerun:\n                _check_fields(held, ended, snapshot)",
        "if False:\n                _check_fields(held, ended, snapshot)",
        ("tests/contract/test_10_calls.py::test_a_body_whose_field_was_changed_meanwhile_runs_again_on_fresh_state",),
        "postgres",
    ),
    Fault(
        13,
        "a step that was added behind where a timeline stands is taken",
        "graph.py",
        "asked.add([begin] if begin else ())",
        "asked.add([*self.nodes])",
        ("tests/contract/test_13_deploys.py::test_a_step_added_behind_where_a_timeline_stands_is_not_taken_there",),
    ),
    Fault(
        13,
        "a step of newer code is blocked at once",
        "engine/elsewhere.py",
        "return run.rings < RINGS and lacks(declaration, step, state)",
        "return False",
        ("tests/contract/test_13_side_by_side.py::test_a_step_that_an_old_worker_does_not_know_is_left_to_new_ones",),
    ),
    Fault(
        14,
        "who may look no more is sent what comes next",
        "live/reading.py",
        "return may_view(id, user, now)",
        "return True",
        ("tests/live/test_socket.py::test_who_may_look_no_more_is_sent_nothing_more",),
    ),
    Fault(
        14,
        "a page is not told of the event after the last that it has seen",
        "frames.py",
        "for event in sight.events if event[0] > after]",
        "for event in sight.events if event[0] > after + 1]",
        ("tests/live/test_socket.py::test_a_page_that_was_away_catches_up_without_a_gap",),
    ),
    Fault(
        14,
        "anybody may see any timeline",
        "policy.py",
        "return _is_asked_for(timeline, user)\n",
        "return True\n",
        ("tests/live/test_socket.py::test_unknown_foreign_and_malformed_are_refused_alike",),
    ),
    Fault(
        15,
        "a secret stays after its step is settled",
        "engine/rows.py",
        '(is_settled(run) or run.get("call") != old["call"]):',
        "False:",
        ("tests/contract/test_15_secrets.py::test_a_secret_waits_encrypted_for_its_attempt_and_is_gone_after_it",),
    ),
    Fault(
        15,
        "the text of an error shows a secret",
        "engine/body.py",
        '"message": self._clean(_message(error))[:MESSAGE_LIMIT]',
        '"message": _message(error)[:MESSAGE_LIMIT]',
        ("tests/contract/test_15_secrets.py::test_a_retry_gets_the_secret_and_its_error_does_not_show_it",),
    ),
    Fault(
        15,
        "erasing leaves who did something",
        "engine/erase.py",
        '_BURIED = ("item", "data", "actor_id", "actor_label")',
        '_BURIED = ("item", "data", "actor_id")',
        ("tests/contract/test_15_erasure.py::test_erasing_leaves_nothing_of_what_was_said",),
    ),
    Fault(
        15,
        "a parent is pruned before its children",
        "engine/prune.py",
        'filter(id__lt=last).order_by("-id")',
        'filter(id__lt=last).order_by("id")',
        (
            "tests/rules/test_6_children.py::test_a_prune_that_is_ended_after_any_batch_leaves_no_child_without_its_parent",
        ),
    ),
)
