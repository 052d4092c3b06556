from .document import save_chart
from .pages import write_comparison, write_study
from .run_report import write_clusters, write_map, write_report
from .sections import write_description

__all__ = [
    "save_chart",
    "write_clusters",
    "write_comparison",
    "write_description",
    "write_map",
    "write_report",
    "write_study",
]
