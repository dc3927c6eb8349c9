"""What enters: items, their labels, groups and splits; and how each is prepared."""
