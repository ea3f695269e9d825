"""Rollouts: a release for a fleet in stages, stopped by themselves where something is wrong.

The words are those of the trade: a campaign (hawkBit: rollout, Mender: deployment) has stages (groups, phases), a gate
between them, and a course of each device through it.

    rules       what an operator writes down: the release, whom, in which stages, when to stop
    selection   who is meant, and who comes first
    bound       what a few failures say of the many
    conditions  when a device may switch: window, jitter, local conditions
    retry       which failures are tried again, and when
    course      one device's way through a campaign
    judge       next, pause, halt, halt and revert

These decide and do nothing: no clock, no chance, no file, no network. What is kept and who is told is in the rooms
below them.
"""
