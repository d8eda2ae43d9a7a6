"""The de-identification service: makes de-identified versions of datasets."""
