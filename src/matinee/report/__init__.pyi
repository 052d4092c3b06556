from .document import save_chart
from .pages import write_comparison_report, write_study_report
from .run_report import write_clusters_report, write_map_report, write_report
from .sections import write_dataset_report

__all__ = [
    "save_chart",
    "write_clusters_report",
    "write_comparison_report",
    "write_dataset_report",
    "write_map_report",
    "write_report",
    "write_study_report",
]
