"""One pass over a data set: scores of every photo, a heatmap of each class that it shows or is taken for."""

from pfungst.audit.survey.surveying import Seen, StoredSurvey, Survey, SurveyConfig, open_survey, survey

__all__ = ["Seen", "StoredSurvey", "Survey", "SurveyConfig", "open_survey", "survey"]
