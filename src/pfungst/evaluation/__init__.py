"""Is the heatmap right? Perturbation traces, localisation, and their statistics; ranking of predictions."""
