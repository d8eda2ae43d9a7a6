"""The dataset service: looks into uploaded files, gives them to training nodes, and removes what is past its time."""
