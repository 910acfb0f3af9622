"""Dense schedules: a layer as a matrix product, cut into folds."""
