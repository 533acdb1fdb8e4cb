"""`frontier`: the fastest student that is nearly as good as its teacher."""
