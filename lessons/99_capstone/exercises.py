"""The capstone has no exercises: rubric.py judges what is handed in."""

from lessons.catalogue import Exercise

EXERCISES: tuple[Exercise, ...] = ()
