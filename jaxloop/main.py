"""python -m jaxloop.main --config=configs/digits.py [--workdir=runs/digits] [--config.FIELD=VALUE]

Started again, a run goes on where it was. Exit codes: 0 the run is complete; 2 the input is
refused, in one line; 3 people must vote before it goes on (python -m jaxloop.review); 130 after
Ctrl-C and 143 after SIGTERM, both saved: they are answered between chunks of about two seconds, a
second one ends at once.
--profile also writes a JAX trace of a chunk of each stage into WORKDIR/profile; --dry_run prints
the plan and the memory that it needs of each device, and ends.
"""

import ctypes
import io
import os
import re
import sys
import warnings
from pathlib import Path

from absl import flags, logging
from ml_collections import ConfigDict, config_flags

from jaxloop import files
from jaxloop.errors import EXIT_CODE, InputError, Interrupted, Waiting
from jaxloop.spec import Spec


def define_flags() -> None:
    """Define the flags, of which absl reads --config and --flagfile at once."""
    config_flags.DEFINE_config_file(
        "config", None, "Which experiment: a file of configs/, as FILE.py or FILE.py:VARIANT."
    )
    words = "Where the run lives. Default: runs/<config name>. Started again, it goes on."
    flags.DEFINE_string("workdir", None, words)
    flags.DEFINE_bool("dry_run", False, "Print the plan and its memory, and run nothing.")
    flags.DEFINE_bool("profile", False, "Write a JAX trace of a chunk of each stage.")


def parse(argv: list[str]) -> tuple[Spec, Path]:
    """Return (Spec, workdir) of a command line. Raises InputError."""
    from jaxloop import config

    config.check_flags(argv)
    _refuse_config_flags(argv)
    try:
        define_flags()
        remaining = flags.FLAGS(argv)[1:]
    except InputError:  # of a config's variant
        raise
    except flags.IllegalFlagValueError as error:
        match = re.fullmatch(r"flag --(\S+?)=(.*?): (.*)", str(error), re.DOTALL)
        name, value, why = match.groups() if match else ("the command line", argv[1:], str(error))
        raise InputError(str(name), value, config.allowed(str(name)) or str(why)) from None
    except flags.Error as error:
        raise InputError("the command line", " ".join(argv[1:]), f"see --help ({error})") from None
    except Exception as error:  # whatever the person's config file raises
        why = f"{type(error).__name__}: {error}"
        raise InputError("--config", " ".join(argv[1:]), f"a file that runs ({why})") from None
    if remaining:
        raise InputError("the command line", remaining[0], "only --flags; see --help")
    present = flags.FLAGS["config"].present
    chosen = config_flags.get_config_filename(flags.FLAGS["config"]) if present else None
    if not chosen:
        words = "a file of configs/, for example --config=configs/digits.py"
        raise InputError("--config", chosen, words)
    if not Path(chosen.partition(":")[0]).is_file():
        raise InputError("--config", chosen, "a file that exists, as FILE.py or FILE.py:VARIANT")
    given, workdir = flags.FLAGS.config, flags.FLAGS.workdir
    if not isinstance(given, ConfigDict):
        raise InputError("--config", chosen, "a file whose get_config returns a configuration")
    if workdir is not None and not workdir.strip():
        raise InputError("--workdir", workdir, "the name of a folder")
    name = re.sub(r"\.py(:|$)", "-", Path(chosen).name).strip("-")
    return config.resolve(given), files.expanded(workdir or Path("runs") / name)


def _refuse_config_flags(argv: list[str]) -> None:
    """Refuse a second --config, of which a broken one is passed over, and what is no file: a pipe
    would be read for ever."""
    chosen = [one for one in argv if re.match("--?config(=|$)", one)]
    if len(chosen) > 1:
        raise InputError("--config", " ".join(chosen), "one of them")
    for value in (one.partition("=")[2] for one in chosen):
        path = Path(value.partition(":")[0])
        if value and path.exists() and not path.is_file():
            raise InputError("--config", value, "a regular file, as FILE.py or FILE.py:VARIANT")


def pin_warnings() -> None:
    """Have warnings as Python has them by default: as errors they would end a run in a library."""
    if sys.warnoptions:
        files.say("jaxloop: PYTHONWARNINGS of the shell is not used here", sys.stderr)
        warnings.resetwarnings()
        for quiet in (DeprecationWarning, PendingDeprecationWarning, ImportWarning):
            warnings.simplefilter("ignore", quiet)


def limit_arenas() -> None:
    """Have glibc's malloc keep two arenas, unless MALLOC_ARENA_MAX says otherwise.

    By default every compiling thread gets one of its own, and none gives its memory back.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None and "MALLOC_ARENA_MAX" not in os.environ:
        mallopt(-8, 2)  # M_ARENA_MAX


def set_up_jax() -> None:
    """Pin what a person's shell could change of a run's numbers, and keep compiled programs."""
    limit_arenas()
    # On a GPU, XLA may otherwise add in any order and choose kernels by timing them. Read when JAX
    # starts its backend.
    flag = "--xla_gpu_deterministic_ops=true"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
    import jax

    pinned = {
        "jax_enable_x64": False,
        "jax_default_prng_impl": "threefry2x32",
        "jax_default_matmul_precision": None,
        "jax_debug_nans": False,
    }
    for name, value in pinned.items():
        if jax.config.values[name] != value:
            print(f"jaxloop: {name.upper()} of the shell is not used here", file=sys.stderr)
            jax.config.update(name, value)
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(files.cache("xla")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def main() -> int:
    for stream in (sys.stdout, sys.stderr):  # a terminal that is not UTF-8 must not end a run
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    if {"--help", "-h", "-help"} & set(sys.argv):
        from jaxloop import config

        print(__doc__, config.table(), sep="\n\n")
        return 0
    pin_warnings()
    logging.set_verbosity(logging.ERROR)  # absl's warnings are of what is refused here, or noise
    try:
        spec, workdir = parse(sys.argv)
        set_up_jax()
        from jaxloop.run import driver

        if flags.FLAGS.dry_run:
            driver.dry_run(spec, workdir)
        else:
            driver.run(spec, workdir, profile=flags.FLAGS.profile)
    except BrokenPipeError:  # whoever read the output has left; the run itself is complete
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115
        return 0
    except (InputError, OSError, Waiting, Interrupted) as error:  # OSError: a full disk
        print(f"jaxloop: {error}", file=sys.stderr)
        return getattr(error, "exit_code", EXIT_CODE)
    except MemoryError as error:
        words = files.one_line(error, 160)
        print(f"jaxloop: this machine has too little memory ({words})", file=sys.stderr)
        return EXIT_CODE
    except KeyboardInterrupt:  # outside the loop: nothing to save
        print("\njaxloop: interrupted; the same command goes on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
