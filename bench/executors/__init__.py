"""Who carries out groups of cells: `base` says what an executor is given and gives back, each other file is one."""

from bench.executors.base import Done, Executor, Failed, Group, Resources, Setup, Stage, Work, stage

__all__ = ["Done", "Executor", "Failed", "Group", "Resources", "Setup", "Stage", "Work", "stage"]
