"""Everything about a training run and its folder."""
