"""Connections: their bytes, their time, their end, and the listener types."""
