"""Distillery: two knowledge-distillation papers, regenerated from data to tables."""

__version__ = "0.1.0"
