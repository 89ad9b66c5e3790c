"""What a person says to a step: a signature, a refusal, a waiver; with their SSH key where one is at hand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dixis_tui.model import Kind, NotNowError, Outcome, Status
from dixis_tui.record import people, signatures
from dixis_tui.record.journal import Signature, now
from dixis_tui.runner import Runner
from dixis_tui.step import Step


def sign(runner: Runner, step_id: str, *, role: str, name: str, note: str, key: bool = True) -> Outcome | None:
    """A person confirms a step. The outcome once nothing is missing any more, else None.

    It is signed with the person's SSH key where one is at hand and key is true.
    Raises NotNowError when it is too early, the role is not asked for, or one person would sign for two.
    """
    step = runner.plan.step(step_id)
    _check_signer(runner, step, role, name)
    roles = step.roles or ("operator",)
    name = name.strip()
    mine, why = key_of(runner, name) if key else (None, "nobody was asked")
    others = {s.role: s for s in runner.state.step(step.id).signatures if s.role != role}
    complete = set(roles) == {*others, role}
    signers = [(one.name, one.fingerprint) for one in others.values()]
    signers.append((name, mine.fingerprint if mine else ""))
    if complete and people.count(signers) < min(2, len(roles)):
        raise NotNowError(
            f"{step.id} wants at least two different people; {name} would be the only one.",
            safe="nothing was signed",
            next_step=f"have another person sign as {role}, with a name and a key of their own",
        )
    _record_signed(runner, "signed", {"step": step.id, "role": role, "name": name, "note": note}, mine, why)
    if not complete:
        return None
    signed = {signature.role: signature for signature in runner.state.step(step.id).signatures}
    outcome = Outcome(
        status=Status.PASS,
        summary="signed by " + ", ".join(s.name for s in signed.values()),
        evidence=tuple(_signature_line(s) for s in signed.values()),
    )
    runner.record("step-finished", {"step": step.id, "outcome": outcome.model_dump(mode="json")})
    return outcome


def reject(runner: Runner, step_id: str, *, role: str, name: str, note: str) -> Outcome:
    """A person says no to a sign-off or a gate; the step fails with their words, earlier signatures do not count.

    Raises NotNowError where sign() would, and when no reason is given.
    """
    _check_signer(runner, runner.plan.step(step_id), role, name)
    name = name.strip()
    if not note.strip():
        raise NotNowError(f"{step_id} cannot be refused without a reason.", next_step="say what is wrong")
    outcome = Outcome(
        status=Status.FAIL,
        summary=f"refused by {name} ({role}): {note}",
        remedy=("mend what is named, then sign again; or roll back",),
    )
    said = {"step": step_id, "role": role, "name": name, "note": note, "outcome": outcome.model_dump(mode="json")}
    _record_signed(runner, "refused", said, *key_of(runner, name))
    return outcome


def waive(runner: Runner, step_id: str, *, name: str, note: str) -> None:
    """The operator takes responsibility for a check that did not pass. Raises NotNowError for anything else."""
    runner.allow_writing()
    step = runner.plan.step(step_id)
    status = runner.state.step(step_id).status
    if step.kind is not Kind.CHECK or status not in (Status.WARN, Status.FAIL, Status.ERROR):
        raise NotNowError(f"{step_id} cannot be waived: it is a {step.kind} and stands at {status}.")
    if status is Status.FAIL and not step.waivable_fail:
        raise NotNowError(
            f"{step_id} cannot be waived: its answer is no.",
            next_step="apply a remedy it names, in the source or in the configuration, and ask again",
        )
    if not step.waivable:
        raise NotNowError(
            f"{step_id} cannot be waived: what it asks must be so.", next_step="mend what it names, or roll back"
        )
    if not name.strip():
        raise NotNowError(f"{step_id} cannot be waived without a name.", next_step="say who takes responsibility")
    if not note.strip():
        raise NotNowError(f"{step_id} cannot be waived without a reason.", next_step="say why it may be passed over")
    name = name.strip()
    _record_signed(runner, "step-waived", {"step": step_id, "name": name, "note": note}, *key_of(runner, name))


def key_of(runner: Runner, name: str) -> tuple[signatures.Key | None, str]:
    """The SSH key at hand with which this person would sign; else None, and why by name only."""
    settings = runner.config.people
    try:
        return signatures.key_of(name, runner.operator, settings.allowed_signers, settings.keys)
    except signatures.SigningError as error:
        return None, error.what


def _record_signed(runner: Runner, kind: str, data: Mapping[str, Any], key: signatures.Key | None, why: str) -> None:
    """Record what a person says, signed with their key where there is one.

    Nothing else is recorded between the event that is signed over and this one.
    """
    with runner.recording:
        at = now()
        if key is not None:
            what = signatures.text(runner.state.run_id, kind, data, at, runner.last_hash)
            try:
                armour = signatures.sign(key, what)
            except signatures.SigningError as error:
                why = error.what
            else:
                ssh = {"key": key.public, "fingerprint": key.fingerprint, "signature": armour}
                runner.record(kind, {**data, "ssh": ssh}, at=at)
                return
        runner.record(kind, {**data, "by_name_only": why}, at=at)


def _check_signer(runner: Runner, step: Step, role: str, name: str) -> None:
    runner.allow_writing()
    roles = step.roles or ("operator",)
    obstacle = runner.obstacle(step)
    if step.work is not None:
        obstacle = f"it is a {step.kind} and answers by itself"
    elif role not in roles:
        obstacle = f"it asks for {', '.join(roles)}, not for {role}"
    elif not name.strip():
        obstacle = "a signature needs a name"
    if obstacle:
        raise NotNowError(f"{step.id} cannot be signed: {obstacle}.", safe="nothing was signed")


def _signature_line(signature: Signature) -> str:
    key = f", key {signature.fingerprint}" if signature.fingerprint else ", by name only"
    return f"{signature.role}: {signature.name}, {signature.at}{f', {signature.note}' if signature.note else ''}{key}"
