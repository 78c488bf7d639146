"""MongoDB: the lists and the content documents, behind deadlines."""
