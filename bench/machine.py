"""What every bench prints about the machine and about a list of repeated measurements."""
import os
import platform
import shutil
import statistics
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.path.abspath(os.environ.get("GEOMEM_BUILD", os.path.join(ROOT, "build/release")))
RECORD = os.path.join(BUILD, "bin/geomem-record")


def describe():
    model = "unknown processor"
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="utf-8") as file:
        memory = int(file.readline().split()[1]) // 1024 // 1024
    load = os.getloadavg()[0]
    return (f"machine: {model}, {os.cpu_count()} processors, {memory} GiB, Linux {platform.release()}, "
            f"load {load:.1f} at the start")


def require_build():
    if not os.path.exists(RECORD):
        sys.exit(f"{RECORD} is not built: cmake --preset release && cmake --build --preset release")


def compile_c(source, program, *flags):
    subprocess.run([os.environ.get("CC", "cc"), "-O2", "-g", "-o", program, os.path.join(ROOT, "bench", source),
                    *flags], check=True)
    return program


def spread(values):
    """(median, half of the range between the quartiles)"""
    if len(values) < 2:
        return values[0], 0.0
    quarter = statistics.quantiles(values, n=4, method="inclusive")
    return statistics.median(values), (quarter[2] - quarter[0]) / 2


def heaptrack():
    return shutil.which("heaptrack")
