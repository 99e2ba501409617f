"""The part that decides: plain functions over plain values, no waiting, no files, no clock."""
