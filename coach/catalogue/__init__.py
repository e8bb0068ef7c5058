"""Facts that are computed with, not remembered: tables of roles, skills, models, questions and resources."""
