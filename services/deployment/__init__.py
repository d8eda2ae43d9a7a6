"""The deployment service: places, launches and follows servers of models on this node."""
