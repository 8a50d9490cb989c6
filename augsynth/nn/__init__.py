"""Floor 2: the parts of deep models (torch): objectives, backbones, heads, the one trainer."""
