from .comparison import compare
from .comparison_result import ComparedRun, Comparison, Difference, short_names
from .cross_validation import CrossValidation, cross_validate
from .leaderboard import PROTOCOLS, LeaderboardRow, evaluate_heads, evaluate_runs
from .presets import PRESETS, Preset, PresetStage, get_preset, run_preset
from .provenance import load_run_data
from .reproduction import RunDiff, RunSpec, diff_runs, reproduce
from .split import Split
from .training import MAX_EVAL_USERS, TrainingResult, fit, train_and_evaluate

__all__ = [
    "MAX_EVAL_USERS",
    "PRESETS",
    "PROTOCOLS",
    "ComparedRun",
    "Comparison",
    "CrossValidation",
    "Difference",
    "LeaderboardRow",
    "Preset",
    "PresetStage",
    "RunDiff",
    "RunSpec",
    "Split",
    "TrainingResult",
    "compare",
    "cross_validate",
    "diff_runs",
    "evaluate_heads",
    "evaluate_runs",
    "fit",
    "get_preset",
    "load_run_data",
    "reproduce",
    "run_preset",
    "short_names",
    "train_and_evaluate",
]
