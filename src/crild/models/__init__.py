"""Loading, cutting, observing and mixing Transformer encoders."""
