"""The ready-made files: checked by the tools that will read them, and run as their runners would run them."""
