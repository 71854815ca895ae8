"""Show the use cases to the network. Faces translate, they never decide."""
