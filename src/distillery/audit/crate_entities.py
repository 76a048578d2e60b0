"""The entities of a crate: what lies there, the workflow with its steps and tools, and what ran.

Every job is a CreateAction of the command that it ran; ControlActions tie it to its rule, a HowToStep of the Snakefile;
the OrganizeAction is Snakemake's.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from distillery.audit.crate_terms import (
    BESIDE,
    ENGINE,
    PROFILES,
    WRITTEN_FROM_IT,
    command_of,
    media_type,
    ordered,
    ref,
    refs,
    time_of,
)
from distillery.audit.manifest import OPTIONAL, Manifest
from distillery.errors import UserError
from distillery.files import sha256_of_file

if TYPE_CHECKING:
    from rocrate.rocrate import ROCrate

_RUN = "#run"


class Writer:
    """Fills a crate, entity by entity.

    Args:
        root: Top folder of the project.
        manifest: Of the run.
        crate: An empty crate.
    """

    def __init__(self, root: Path, manifest: Manifest, crate: ROCrate) -> None:
        self._root, self._manifest, self._crate = root, manifest, crate
        self._ids: dict[str, str] = {}

    def fill(self, report: Path | None) -> None:
        """Adds everything; `report` is Snakemake's own, relative to the project."""
        self._about()
        self._files(report)
        tools = self._tools()
        steps = self._steps(tools)
        self._workflow(tools, steps)
        self._actions(tools, steps)

    # The root and what it conforms to

    def _about(self) -> None:
        content, top = self._manifest.content, self._crate.root_dataset
        for address, (name, version) in PROFILES.items():
            self._context(address, "CreativeWork", name=name, version=version)
        top["conformsTo"] = refs(PROFILES)
        top["name"] = f"Distillery: run of the profile {content['profile']}, {content['target']}"
        top["description"] = (
            "Regenerates two papers on knowledge distillation, of Siamese trackers and of end-to-end person search: "
            "data, checkpoints, predictions, metrics, tables and figures of one run, with the jobs that made each."
        )
        self._context("https://spdx.org/licenses/MIT", "CreativeWork", name="MIT License")
        top["license"] = ref("https://spdx.org/licenses/MIT")
        top["datePublished"] = self._end()
        self._context("#authors", "Organization", name="The Distillery authors")
        top["author"] = ref("#authors")
        # Who ran it is not recorded anywhere, so actions have no agent.
        self._crate.metadata["conformsTo"] = refs(["https://w3id.org/ro/crate/1.1", *list(PROFILES)[-1:]])

    def _end(self) -> str:
        ends = [job["started"] + job["seconds"] for job in self._manifest.jobs.values() if job.get("started")]
        if not ends:
            raise UserError(
                "does not say when its jobs ran",
                file=self._manifest.path,
                remedy="write it again: `distillery manifest`",
            )
        return time_of(max(ends))

    # What lies there

    def _files(self, report: Path | None) -> None:
        manifest, home = self._manifest, Path(self._manifest.path).parent
        parts: dict[str, dict[str, Any]] = {}
        for path, entry in manifest.artefacts.items():
            if entry["kind"] == OPTIONAL:
                self._gone(path, entry["sha256"], "only saves work and may be thrown away")
            elif "member_of" not in entry:
                parts[path] = {"sha256": entry["sha256"], "contentSize": str(entry["bytes"])}
        for job in manifest.jobs.values():
            parts |= {path: {"sha256": digest} for path, digest in job["code"].items() if path != "Snakefile"}
            for path, digest in job["inputs"].items():
                if path not in parts and path not in self._ids:
                    self._gone(path, digest, "was given to the run")
        others = [manifest.path, str(manifest.content["config"].get("file")), *BESIDE]
        others += [str(home / name) for name in WRITTEN_FROM_IT]
        for path in others:
            inside = not Path(path).is_absolute() and ".." not in Path(path).parts
            if inside and path not in parts and (self._root / path).is_file():
                parts[path] = self._measured(path)
        if report is not None:
            parts[str(report)] = self._measured(str(report)) | {"description": "Snakemake's own report of the run"}
        for path in sorted(parts):
            if not (self._root / path).is_file():
                raise UserError("is gone", file=self._root / path, remedy="restore it: see `distillery audit verify`")
            self._file(path, parts[path])
        if "README.md" in parts:
            self._crate.get("README.md")["about"] = ref("./")
        self._folders()

    def _measured(self, path: str) -> dict[str, Any]:
        file = self._root / path
        return {"sha256": sha256_of_file(file), "contentSize": str(file.stat().st_size)}

    def _file(self, path: str, properties: dict[str, Any]) -> None:
        from rocrate.model.file import File

        known = {"name": path, "encodingFormat": media_type(path), **properties}
        self._crate.add(File(self._crate, dest_path=path, properties=known))
        self._ids[path] = quote(path)

    def _gone(self, path: str, digest: str, why: str) -> None:
        """A file that need not lie there any more: its hash is what is known."""
        self._ids[path] = f"#sha256:{digest}"
        self._context(self._ids[path], "CreativeWork", name=path, description=f"A file that {why}.", sha256=digest)

    def _folders(self) -> None:
        """Datasets and results folders: their files are listed with hashes in the manifest or index beside them."""
        from rocrate.model.dataset import Dataset

        indices = {str(entry["member_of"]) for entry in self._manifest.artefacts.values() if "member_of" in entry}
        indices |= {entry["manifest"] for entry in self._manifest.content["data"].values()}
        for index in sorted(indices):
            folder = index.removesuffix(".json") + "/"
            if (self._root / folder).is_dir():
                told = {"name": folder, "description": f"Its files stand with their hashes in {index}."}
                self._crate.add(Dataset(self._crate, dest_path=folder, properties=told))

    # The workflow, its steps and tools

    def _tools(self) -> dict[str, str]:
        """Command -> id of its tool; a tool is a command of the package, with its source files."""
        version = self._manifest.content["code"].get("commit") or "unknown"
        sources: dict[str, set[str]] = {}
        for job in self._manifest.jobs.values():
            sources.setdefault(command_of(job), set()).update(job["code"])
        tools = {command: f"#tool-{quote(command, safe='')}" for command in sorted(sources)}
        for command, name in tools.items():
            parts = [self._ids[path] for path in sorted(sources[command]) if path in self._ids]
            told = {"name": f"distillery {command}", "softwareVersion": version}
            self._context(name, "SoftwareApplication", **told, **({"hasPart": refs(parts)} if parts else {}))
        return tools

    def _steps(self, tools: dict[str, str]) -> dict[str, str]:
        """Rule -> id of its step, in an order in which they can run."""
        steps = {}
        commands = {job["rule"]: command_of(job) for job in self._manifest.jobs.values()}
        for position, rule in enumerate(ordered(self._manifest), start=1):
            steps[rule] = f"Snakefile#{quote(rule, safe='')}"
            told = {"name": rule, "position": str(position), "workExample": ref(tools[commands[rule]])}
            self._context(steps[rule], "HowToStep", **told)
        return steps

    def _workflow(self, tools: dict[str, str], steps: dict[str, str]) -> None:
        from rocrate.model.computationalworkflow import ComputationalWorkflow

        config = str(self._manifest.content["config"].get("file"))
        for name, kind in (("config", "input"), ("report", "output")):
            self._context(f"#{kind}", "FormalParameter", name=name, additionalType="File", valueRequired="true")
            self._crate.get(f"#{kind}")["conformsTo"] = ref(
                "https://bioschemas.org/profiles/FormalParameter/1.0-RELEASE"
            )
        language = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
        self._context(language, "ComputerLanguage", name="Snakemake", url=ref("https://snakemake.github.io"))
        self._crate.get(language)["identifier"] = ref("https://snakemake.github.io")
        told = {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow", "HowTo"],
            "name": "Distillery",
            "version": self._manifest.content["code"].get("commit") or "unknown",
            "programmingLanguage": ref(language),
            "hasPart": refs(tools.values()),
            "step": refs(steps.values()),
            "encodingFormat": "text/plain",
            "conformsTo": ref("https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"),
            "input": ref("#input"),
            "output": ref("#output"),
            "license": ref("https://spdx.org/licenses/MIT"),
        }
        workflow = ComputationalWorkflow(self._crate, dest_path="Snakefile", properties=told)
        self._crate.add(workflow)
        self._crate.root_dataset["mainEntity"] = ref("Snakefile")
        if config in self._ids:
            self._crate.get(self._ids[config])["exampleOfWork"] = ref("#input")

    # What ran

    def _actions(self, tools: dict[str, str], steps: dict[str, str]) -> None:
        controls = [self._job(name, job, tools, steps) for name, job in sorted(self._manifest.jobs.items())]
        shown = [
            path for path, entry in self._manifest.artefacts.items() if entry["kind"] in ("table", "figure", "report")
        ]
        for path in shown:
            if Path(path).name == "report.html":
                self._crate.get(self._ids[path])["exampleOfWork"] = ref("#output")
        config = str(self._manifest.content["config"].get("file"))
        jobs = [job for job in self._manifest.jobs.values() if job.get("started")]
        self._context(
            _RUN,
            "CreateAction",
            name=f"snakemake --configfile {config}: the {self._manifest.content['target']}",
            description="The whole run: from data to tables, figures and report",
            instrument=ref("Snakefile"),
            object=refs([self._ids[config]] if config in self._ids else []),
            result=refs(self._ids[path] for path in sorted(shown)),
            startTime=time_of(min(job["started"] for job in jobs)),
            endTime=self._end(),
            actionStatus="http://schema.org/CompletedActionStatus",
        )
        version = {"softwareVersion": engine} if (engine := self._engine()) else {}
        self._context(ENGINE, "SoftwareApplication", name="Snakemake", url="https://snakemake.github.io", **version)
        self._context(
            "#organise",
            "OrganizeAction",
            name="Run of Snakemake",
            instrument=ref(ENGINE),
            object=refs(controls),
            result=ref(_RUN),
            startTime=time_of(min(job["started"] for job in jobs)),
            endTime=self._end(),
        )
        actions = [control.replace("#control-", "#job-", 1) for control in controls]
        self._crate.root_dataset["mentions"] = refs([_RUN, "#organise", *actions])

    def _job(self, name: str, job: dict[str, Any], tools: dict[str, str], steps: dict[str, str]) -> str:
        """Adds a job and the control over it; returns the id of the latter."""
        key = quote(name, safe="")
        objects = [self._ids[path] for path in sorted(job["inputs"])]
        if job.get("params") is not None:
            objects.append(f"#params-{key}")
            self._context(objects[-1], "PropertyValue", name="params", value=json.dumps(job["params"], sort_keys=True))
        usage = self._usage(key, job)
        times = {}
        if job.get("started"):
            times = {"startTime": time_of(job["started"]), "endTime": time_of(job["started"] + job["seconds"])}
        self._context(
            f"#job-{key}",
            "CreateAction",
            name=name,
            description=job["command"],
            instrument=ref(tools[command_of(job)]),
            object=refs(objects),
            result=refs(self._ids[path] for path in sorted(job["outputs"]) if path in self._ids),
            actionStatus="http://schema.org/CompletedActionStatus",
            **times,
            **({"resourceUsage": refs(usage)} if usage else {}),
        )
        control = {"instrument": ref(steps[job["rule"]]), "object": ref(f"#job-{key}")}
        self._context(f"#control-{key}", "ControlAction", name=f"control of {name}", **control)
        return f"#control-{key}"

    def _usage(self, key: str, job: dict[str, Any]) -> list[str]:
        found = []
        for name, unit in (("seconds", "SEC"), ("cpu_seconds", "SEC"), ("peak_mb", "4L")):
            if job.get(name) is not None:
                found.append(f"#{name}-{key}")
                told = {"name": name, "propertyID": f"#{name}", "value": str(job[name]), "unitCode": unit}
                self._context(found[-1], "PropertyValue", **told)
        return found

    def _engine(self) -> str | None:
        """Snakemake's version: the one in the lock file, if that is the lock of the run."""
        lock = self._root / "requirements.lock"
        if not lock.is_file() or sha256_of_file(lock) != self._manifest.content["environment"].get("lock"):
            return None
        found = re.search(r"^snakemake==(\S+)", lock.read_text(encoding="utf-8"), re.MULTILINE)
        return found[1] if found else None

    def _context(self, identity: str, kind: str, /, **properties: Any) -> None:
        from rocrate.model.contextentity import ContextEntity

        self._crate.add(ContextEntity(self._crate, identity, properties={"@type": kind, **properties}))
