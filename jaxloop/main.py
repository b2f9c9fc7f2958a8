"""python -m jaxloop.main --config=configs/digits.py [--workdir=runs/digits] [--config.FIELD=VALUE ...]"""

import os
import re
import sys
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from jaxloop import config, files
from jaxloop.errors import EXIT_CODE, InputError, Waiting

CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Which experiment: a file of configs/, as FILE.py or FILE.py:VARIANT."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Where the run lives. Default: runs/<config name>. Started again, it goes on."
)


def parse(argv: list[str]) -> tuple[config.Spec, Path]:
    """Command line -> (Spec, workdir). Raises InputError."""
    config.check_flags(argv)
    try:
        rest = flags.FLAGS(argv)[1:]
    except InputError:  # of a config's variant
        raise
    except flags.IllegalFlagValueError as error:
        name, value, why = re.fullmatch(
            r"flag --(\S+?)=(.*?): (.*)", str(error), re.DOTALL
        ).groups()
        raise InputError(name, value, config.allowed(name) or why) from None
    except flags.Error as error:
        raise InputError("the command line", " ".join(argv[1:]), f"see --help ({error})") from None
    except Exception as error:  # whatever the person's config file raises
        why = f"{type(error).__name__}: {error}"
        raise InputError("--config", " ".join(argv[1:]), f"a file that runs ({why})") from None
    if rest:
        raise InputError("the command line", rest[0], "only --flags; see --help")
    chosen = (
        config_flags.get_config_filename(flags.FLAGS["config"])
        if flags.FLAGS["config"].present
        else None
    )
    if not chosen:
        raise InputError(
            "--config", chosen, "a file of configs/, for example --config=configs/digits.py"
        )
    if not Path(chosen.partition(":")[0]).is_file():
        raise InputError("--config", chosen, "a file that exists, as FILE.py or FILE.py:VARIANT")
    name = re.sub(r"\.py(:|$)", "-", Path(chosen).name).strip("-")
    return config.resolve(CONFIG.value), Path(WORKDIR.value or Path("runs") / name)


def set_up_xla() -> None:
    """A run that starts again starts at once, and adds in the same order."""
    # On a GPU, XLA may otherwise add in any order and choose kernels by timing them. Read when JAX starts its backend.
    os.environ["XLA_FLAGS"] = (
        f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true".strip()
    )
    import jax

    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        jax.config.update("jax_compilation_cache_dir", str(files.cache("xla")))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def main() -> int:
    if {"--help", "-h", "-help"} & set(sys.argv):
        print(__doc__, config.table(), sep="\n\n")
        return 0
    try:
        spec, workdir = parse(sys.argv)
        set_up_xla()
        from jaxloop.run import driver

        driver.run(spec, workdir)
    except (
        InputError,
        OSError,
        Waiting,
    ) as error:  # OSError: a disk that is full, a folder that is taken away
        print(f"jaxloop: {error}", file=sys.stderr)
        return getattr(error, "exit_code", EXIT_CODE)
    except KeyboardInterrupt:
        print(
            "\njaxloop: interrupted; the same command goes on from the last checkpoint",
            file=sys.stderr,
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
