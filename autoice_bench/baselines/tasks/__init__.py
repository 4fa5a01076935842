"""What a network predicts: outputs, loss and scores of a task.

``contract`` says what a task is. Today there is one, the three charts: ``charts``, with
``chart_outputs``, ``chart_loss`` and ``chart_scores``. A task knows nothing of networks or recipes.
"""
