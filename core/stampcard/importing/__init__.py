"""Files from other platforms: read row by row, brought in step by step, compared, taken back."""
