"""What a network predicts: outputs, loss and scores of a task.

Today the three charts: ``chart_outputs``, ``chart_loss``, ``chart_scores``. A task knows nothing
of networks or recipes.
"""
