"""matinee doctor, warm-up, presets"""

from matinee.cli import options
from matinee.cli.output import heading, print_json, say
from matinee.errors import ExtraError, install_command

INDENT = "  "


def doctor(json: options.Json = False) -> None:
    """Show versions, processors and folders found here."""
    import os
    import platform
    from importlib.metadata import version

    import matinee
    from matinee.data.cache import cached_names
    from matinee.kernels.cache import place_of_kernels
    from matinee.kernels.parallel import usable_threads
    from matinee.storage.cache_folder import cache_folder

    folder = cache_folder()
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    facts = {
        "matinee": matinee.__version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}",
        "threads": usable_threads(),
        **{name: version(name) for name in ("numpy", "numba", "polars", "safetensors")},
        **_torch(),
        "kernel_folder": str(place_of_kernels() or "none yet"),
        "data_folder": str(folder),
        "data_folder_writable": os.access(existing, os.W_OK),
        "data_sets": cached_names(),
    }
    if json:
        print_json(facts)
        return
    for name, value in facts.items():
        if isinstance(value, bool):
            value = "yes" if value else "no"
        elif isinstance(value, list):
            value = ", ".join(value) or "none"
        say(f"{name.replace('_', ' '):22}{value}")


def _torch() -> dict[str, str]:
    """What PyTorch finds here, if it is installed."""
    try:
        from matinee.models.neural.devices import device_report
    except ExtraError:
        return {"torch": f"not installed ({install_command('matinee[torch]')})"}
    return device_report()


def warm_up(json: options.Json = False) -> None:
    """Compile all kernels now, so that no later command has to."""
    from matinee.experiments.compiling import warm_up as compile_all

    compiled = compile_all()
    where = None if compiled.folder is None else str(compiled.folder)
    if json:
        print_json({"kernels": compiled.kernels, "folder": where, "seconds": compiled.seconds})
        return
    for kernel in dict.fromkeys(compiled.kernels):
        say(kernel, INDENT)
    done = f"{len(compiled.kernels)} kernels compiled in {compiled.seconds:.0f} s"
    say(f"{done if compiled.kernels else 'All kernels were compiled already'}.")
    if where is None:
        say("They could not be kept: no folder can be written to. Set MATINEE_CACHE.")
    else:
        say(f"They are in {where}.")


def presets(json: options.Json = False) -> None:
    """List the published configurations for train --preset."""
    from dataclasses import asdict

    from matinee.experiments.presets import PRESETS

    if json:
        print_json([asdict(preset) for preset in PRESETS])
        return
    for preset in PRESETS:
        heading(preset.name)
        say(preset.description, INDENT)
        say(f"source: {preset.source}, for {preset.dataset}", INDENT)
        say(f"accuracy: {preset.results}", INDENT)
        say(f"differences: {preset.deviations}", INDENT)
    say("Run one: matinee train DATASET --preset NAME")
