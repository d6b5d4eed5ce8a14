"""One pass of a classifier over a data set, from which everything else in an audit is measured."""

from pfungst.audits.survey.config import KEPT_PIXELS, SurveyConfig
from pfungst.audits.survey.records import Seen, StoredSurvey, Survey, open_survey
from pfungst.audits.survey.surroundings import ContextConfig, Surroundings
from pfungst.audits.survey.surveying import survey

__all__ = [
    "KEPT_PIXELS",
    "ContextConfig",
    "Seen",
    "StoredSurvey",
    "Surroundings",
    "Survey",
    "SurveyConfig",
    "open_survey",
    "survey",
]
