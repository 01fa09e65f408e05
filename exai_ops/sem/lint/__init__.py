"""Finds, in source, the ways in which permits are lost or given twice. Reads files, runs nothing."""
