"""Pictures of a scene, its charts and a prediction, for people to judge by eye."""
