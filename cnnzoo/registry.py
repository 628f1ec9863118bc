"""Names for things that can be built: models, layers and data sets.

One class serves all three. A decorator puts a class or function under a name; `build` finds it
again, checks the keywords against its signature and calls it. What belongs to cnnzoo is found by
file name (every module of `cnnzoo.models` that does not start with an underscore), what belongs to
other packages by entry points (see `cnnzoo.plugins`); neither is imported before the first look-up.

Conventions: names fold case; a name is taken once; "package:name" is a plugin's, or one of another
library that `Registry.bridge` joined on: that library is imported when its prefix is asked for.
"""

from __future__ import annotations

import fnmatch
import importlib
import inspect
import json
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cnnzoo import plugins
from cnnzoo.errors import CnnzooError, did_you_mean

if TYPE_CHECKING:
    from torch import nn

T = TypeVar("T")
B = TypeVar("B", bound=Callable[..., Any])


@dataclass(frozen=True)
class Entry(Generic[T]):
    """What is registered under a name.

    Attributes:
        name: the canonical name, ``package:name`` for a plugin's.
        aliases: other names that find it.
        builder: the class or function that makes it.
        origin: ``module:line`` of the registration.
        plugin: prefix of the plugin it comes from; ``None`` for cnnzoo's own.
    """

    name: str
    aliases: tuple[str, ...]
    builder: Callable[..., T]
    origin: str
    plugin: str | None

    @property
    def summary(self) -> str:
        """First line of the builder's docstring."""
        doc = inspect.getdoc(self.builder) or ""
        return doc.partition("\n")[0]

    @property
    def arguments(self) -> dict[str, Any]:
        """Keyword arguments with their defaults (`inspect.Parameter.empty`: required)."""
        named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
        return {p.name: p.default for p in self._parameters() if p.kind in named}

    def bind(self, kind: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
        """Return all arguments, defaults included, or say which keyword is wrong."""
        open_ended = any(p.kind is p.VAR_KEYWORD for p in self._parameters())
        legal = self.arguments
        unknown = [key for key in overrides if key not in legal]
        if unknown and not open_ended:
            raise CnnzooError(
                f'{kind} "{self.name}" has no argument "{unknown[0]}".'
                f"{did_you_mean(unknown[0], legal)} It takes: {', '.join(legal) or 'none'}."
            )
        bound = {**legal, **overrides}
        missing = [key for key, value in bound.items() if value is inspect.Parameter.empty]
        if missing:
            raise CnnzooError(f'{kind} "{self.name}" needs the argument "{missing[0]}".')
        return bound

    def _parameters(self) -> list[inspect.Parameter]:
        try:
            return list(inspect.signature(self.builder).parameters.values())
        except ValueError:  # some built-in types do not tell: let them check for themselves
            return [inspect.Parameter("options", inspect.Parameter.VAR_KEYWORD)]


@dataclass(frozen=True)
class Bridge(Generic[T]):
    """Another library's things, looked up there when somebody asks for its prefix.

    Attributes:
        names: lists them, as the library calls them.
        builder: finds the class or function that makes one of them.
        origin: ``module:line`` of the bridge.
    """

    names: Callable[[], Iterable[str]]
    builder: Callable[[str], Callable[..., T]]
    origin: str


class Registry(Generic[T]):
    """A name space of things of one kind.

    Args:
        kind: what a single thing is called in messages, for example ``"model"``.
        home: package whose modules register cnnzoo's own things when they are imported.
    """

    def __init__(self, kind: str, home: str) -> None:
        self.kind = kind
        self._home = home
        self._entries: dict[str, Entry[T]] = {}  # by folded name, aliases included
        self._bridges: dict[str, Bridge[T]] = {}  # by prefix
        self._home_is_loaded = False

    def register(
        self, name: str | None = None, *, aliases: Iterable[str] = (), override: bool = False
    ) -> Callable[[B], B]:
        """Return a decorator that registers a class or function.

        Args:
            name: the name; by default the function's own.
            aliases: other names for the same thing.
            override: replace what already has one of these names.

        Raises:
            CnnzooError: a name is taken (both places are named), or it is not a name.
        """
        caller = sys._getframe(1)
        module = caller.f_globals.get("__name__", "?")
        origin = f"{module}:{caller.f_lineno}"

        def decorate(builder: B) -> B:
            prefix = None if module.partition(".")[0] == "cnnzoo" else plugins.prefix_of(module)
            own = [name or builder.__name__, *aliases]
            for each in own:
                if not re.fullmatch(r"[\w.-]+", each):
                    raise CnnzooError(
                        f'"{each}" is no name for a {self.kind} (at {origin}): '
                        "letters, digits, '_', '-' and '.' only."
                    )
            full, *others = [f"{prefix}:{each}" if prefix else each for each in own]
            entry = Entry(full, tuple(others), builder, origin, prefix)
            self._add(entry, override=override)
            return builder

        return decorate

    def bridge(
        self,
        prefix: str,
        names: Callable[[], Iterable[str]],
        builder: Callable[[str], Callable[..., T]],
    ) -> None:
        """Join another library on: its things are called ``prefix:name``.

        They are found by name, and listed by a pattern that begins with the prefix; ``*`` alone
        does not list them, so that nobody waits for a library he did not ask for.

        Args:
            prefix: in lower case.
            names: lists the library's names; may raise a `CnnzooError` where it is not installed.
            builder: returns the class or function behind one of these names.
        """
        caller = sys._getframe(1)
        origin = f"{caller.f_globals.get('__name__', '?')}:{caller.f_lineno}"
        self._bridges[prefix] = Bridge(names, builder, origin)

    @property
    def bridges(self) -> list[str]:
        """Prefixes of the libraries that are joined on."""
        self._own()
        return sorted(self._bridges)

    def build(self, name: str, /, **overrides: Any) -> T:
        """Build the thing called ``name``; keywords replace its defaults.

        Raises:
            CnnzooError: the name or a keyword is unknown, or a required one is missing.
        """
        entry = self.info(name)
        return entry.builder(**entry.bind(self.kind, overrides))

    def info(self, name: str) -> Entry[T]:
        """Return what is known about ``name`` without building it.

        Raises:
            CnnzooError: the name is unknown; the nearest is suggested.
        """
        if not isinstance(name, str):
            raise CnnzooError(
                f"The name of a {self.kind} is a string; got {type(name).__name__} {name!r}."
            )
        entry = self._own().get(name.casefold()) or self._across(name)
        if entry is None or entry.plugin:  # only now: cnnzoo's own never wait for a plugin's import
            entry = self._visible().get(name.casefold())
        if entry is None:
            raise CnnzooError(self._unknown(name))
        return entry

    def names(self, pattern: str | Iterable[str] = "*") -> list[str]:
        """List canonical names in natural order (``vgg2`` before ``vgg11``).

        Args:
            pattern: shell wildcards (``*``, ``?``, ``[…]``), one or several; case is folded.
                Names of a bridge are listed where its prefix is written out: ``tv:*``.
        """
        wanted = [pattern] if isinstance(pattern, str) else list(pattern)
        every = {entry.name for entry in self._visible().values()}
        for prefix in {each.casefold().partition(":")[0] for each in wanted if ":" in each}:
            every |= {f"{prefix}:{each}" for each in self._beyond(prefix)}
        found = {
            name
            for name in every
            if any(fnmatch.fnmatchcase(name.casefold(), each.casefold()) for each in wanted)
        }
        return sorted(found, key=_natural)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        return name.casefold() in self._visible() or self._across(name) is not None

    def _across(self, name: str) -> Entry[T] | None:
        """Find the entry of a bridge's thing, if ``name`` is one."""
        prefix, _, rest = name.casefold().partition(":")
        own = {each.casefold(): each for each in self._beyond(prefix)}.get(rest) if rest else None
        if own is None:
            return None
        bridge = self._bridges[prefix]
        return Entry(f"{prefix}:{own}", (), bridge.builder(own), bridge.origin, None)

    def _beyond(self, prefix: str) -> Iterable[str]:
        """List the names behind a bridge; nothing where there is no such bridge."""
        self._own()
        return self._bridges[prefix].names() if prefix in self._bridges else ()

    def _add(self, entry: Entry[T], *, override: bool) -> None:
        if not entry.origin.startswith("cnnzoo."):
            self._own()  # a person's own name meets cnnzoo's when it is registered, not later
        keys = [each.casefold() for each in (entry.name, *entry.aliases)]
        for key in keys:
            old = self._entries.get(key)
            if old is None:
                continue
            if not override and old.origin != entry.origin:  # the same origin: a module reloaded
                raise CnnzooError(
                    f'The {self.kind} name "{key}" is taken: registered at {old.origin}, and again '
                    f"at {entry.origin}. Choose another name, or pass override=True."
                )
            self._entries = {k: e for k, e in self._entries.items() if e is not old}
        self._entries.update(dict.fromkeys(keys, entry))

    def _own(self) -> dict[str, Entry[T]]:
        """Entries so far, after cnnzoo's own modules have been imported."""
        if not self._home_is_loaded:
            self._home_is_loaded = True
            try:
                package = importlib.import_module(self._home)
                for module in pkgutil.iter_modules(package.__path__):
                    if not module.name.startswith("_"):
                        importlib.import_module(f"{self._home}.{module.name}")
            except BaseException:
                self._home_is_loaded = False  # say it again next time, not "unknown name"
                raise
        return self._entries

    def _visible(self) -> dict[str, Entry[T]]:
        """Entries of cnnzoo, of the session and of plugins that loaded."""
        own = self._own()
        hidden = plugins.quarantined()
        return {key: entry for key, entry in own.items() if entry.plugin not in hidden}

    def _unknown(self, name: str) -> str:
        known = self.names(["*", name.partition(":")[0] + ":*"])
        near = did_you_mean(name, known) or did_you_mean(name, self._visible())  # then aliases
        message = f'Unknown {self.kind} "{name}".{near}'
        prefix = name.partition(":")[0] if ":" in name else None
        failed = sorted(each for each in plugins.quarantined() if prefix in (None, each))
        if failed:
            message += (
                f" It could have come from {', '.join(failed)}, which failed to load:"
                " `cnnzoo plugins` shows why."
            )
        listed = ", ".join(known) if len(known) <= 12 else f"{len(known)} names"
        return f"{message} Known: {listed or 'none'}."


def _natural(name: str) -> list[tuple[int, int | str]]:
    """Sort key: digits by value, the rest by letter."""
    parts = re.split(r"(\d+)", name.casefold())
    return [(0, int(part)) if part.isdigit() else (1, part) for part in parts]


models: Registry[nn.Module] = Registry("model", home="cnnzoo.models")
layers: Registry[nn.Module] = Registry("layer", home="cnnzoo.layers")
datasets: Registry[Any] = Registry("data set", home="cnnzoo.data")

register_model = models.register
register_layer = layers.register
register_dataset = datasets.register


def build(model: str | Mapping[str, Any], /, **overrides: Any) -> nn.Module:
    """Build a model with new weights; the public `cnnzoo.build` has trained ones, too.

    Args:
        model: a registered name (see `list_models`), or a spec: ``{"model": …, "arguments": …}``.
        **overrides: keyword arguments of the model, such as ``num_classes=3``.

    Returns:
        The model, with its recipe in ``model.spec``: JSON that rebuilds it, all arguments
        included.

    Raises:
        CnnzooError: unknown name or keyword (the nearest is suggested), an input too small for
            the model, or an argument that JSON cannot hold.

    >>> model = build("mnist_cnn", num_classes=3)
    >>> model.spec["arguments"]["num_classes"], build(model.spec).spec == model.spec
    (3, True)
    """
    name, given = read_spec(model)
    entry = models.info(name)
    arguments = entry.bind(models.kind, {**given, **overrides})
    try:
        spec = json.loads(json.dumps({"model": entry.name, "arguments": arguments}))
    except TypeError as error:
        raise CnnzooError(
            f'The arguments of "{entry.name}" must fit into JSON, so that the model can be rebuilt '
            f"from its spec ({error}). Call {entry.builder.__name__} itself to pass objects."
        ) from None
    built = entry.builder(**arguments)
    built.spec = spec
    return built


def list_models(pattern: str | Iterable[str] = "*") -> list[str]:
    """List the models' names in natural order; nothing is built.

    Args:
        pattern: shell wildcards, one or several; case is folded.

    >>> list_models("*mnist*")
    ['mnist_cnn']
    """
    return models.names(pattern)


def model_info(name: str) -> Entry[nn.Module]:
    """Return name, aliases, arguments, summary and origin of a model; nothing is built.

    >>> model_info("MNIST_CNN").arguments["num_classes"]
    10
    """
    return models.info(name)


def read_spec(spec: str | Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Return the name and the arguments in a spec; a name alone has none.

    Raises:
        CnnzooError: it is no spec.

    >>> read_spec({"model": "lenet5", "arguments": {"num_classes": 3}})
    ('lenet5', {'num_classes': 3})
    """
    if isinstance(spec, str):
        return spec, {}
    known = spec if isinstance(spec, Mapping) else {}
    name, arguments = known.get("model"), known.get("arguments", {})
    if not isinstance(name, str) or not isinstance(arguments, Mapping):
        raise CnnzooError(
            'A spec looks like {"model": "mnist_cnn", "arguments": {"num_classes": 10}}; '
            f"got {spec!r:.200}."
        )
    return name, arguments
