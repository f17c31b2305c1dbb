"""`longrun gc`: what the directories of a home are needed for, what deleting them costs, and their deletion."""
