"""python -m baseline check FIXTURES   compares both styles with golden values; exit code 1 where anything is off
python -m baseline serve RUN [--style tuned|plain] [--compile [MODE]]   loads a run's weights and batch, and runs steps on command"""

import argparse
import sys
from pathlib import Path

from .check import check_fixtures
from .serve import serve_steps
from .styles import STYLES


def main() -> int:
    parser = argparse.ArgumentParser(prog="baseline", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    check = commands.add_parser("check", help="compare with golden values")
    check.add_argument("fixtures", type=Path, help="folder of dino.safetensors, sere.safetensors and their JSON files")
    serve = commands.add_parser("serve", help="run steps on command")
    serve.add_argument("run", type=Path, help="safetensors file with the weights, the batch and what the step is")
    serve.add_argument("--style", choices=STYLES, default="tuned", help="how the step is written")
    serve.add_argument("--compile", nargs="?", const="default", help="torch.compile, in one of its modes")
    options = parser.parse_args()
    if options.command == "check":
        return check_fixtures(options.fixtures)
    serve_steps(options.run, options.style, options.compile)
    return 0


sys.exit(main())
