"""The front door for type checkers; ``_HOMES`` in ``__init__.py`` says the same at run time."""

from pfungst.contract import Explanation as Explanation
from pfungst.contract import Ledger as Ledger
from pfungst.fisher import train_fisher as train_fisher
from pfungst.front import audit as audit
from pfungst.front import compare as compare
from pfungst.front import evaluate as evaluate
from pfungst.front import explain as explain
from pfungst.front import measure_quality as measure_quality
from pfungst.images import decode as decode
from pfungst.images import open_dataset as open_dataset
from pfungst.models import load as load
from pfungst.network import NetworkClassifier as NetworkClassifier
from pfungst.network import Preprocess as Preprocess
from pfungst.network import lrp as lrp
from pfungst.network import train_network as train_network
from pfungst.report import write_report as write_report

__version__: str
