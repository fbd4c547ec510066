"""Puts the executor together; the only place that names concrete adapters."""

from __future__ import annotations

import secrets
from pathlib import Path

from libs.common.bus.nats import NatsBus
from libs.common.control.admission import Admission
from libs.common.kalshi.budget import TokenBuckets
from libs.common.kalshi.canceller import Canceller
from libs.common.kalshi.order_sender import OrderSender
from libs.common.kalshi.presign import Presigner
from libs.common.kalshi.rest import VenueReader
from libs.common.kalshi.signing import Signer
from libs.common.kalshi.transport import make_transport
from libs.common.runtime.app import Runtime
from libs.common.runtime.latch_file import LatchFile
from services.executor.config import Config
from services.executor.core.account import Account, Now
from services.executor.core.approval import Approver
from services.executor.core.engine import Engine
from services.executor.core.epoch import EpochKeeper
from services.executor.core.gate import Gate
from services.executor.core.halting import Halting
from services.executor.core.intake import Intake
from services.executor.core.journal import JournalWriter
from services.executor.core.orders import OwnOrders
from services.executor.core.positions import Positions
from services.executor.core.queue_place import QueuePlaces
from services.executor.core.quoting import Quoter
from services.executor.core.recovery import Recovery
from services.executor.core.risk_desk import RiskDesk
from services.executor.core.seal import Seal
from services.executor.shell.control import ControlWatch
from services.executor.shell.direct import DirectDesk
from services.executor.shell.halt_listener import HaltFlag, HaltListener, OnClosed
from services.executor.shell.killing import Killer
from services.executor.shell.latch_writer import LatchWriter
from services.executor.shell.leadership import Leadership
from services.executor.shell.performer import Performer
from services.executor.shell.polls import Polls
from services.executor.shell.projection import Projection
from services.executor.shell.publisher import Publisher
from services.executor.shell.queue_polls import QueuePolls
from services.executor.shell.recovering import Recovering
from services.executor.shell.sender import Sender
from services.executor.shell.service import ExecutorApp
from services.executor.shell.venue_limits import VenueLimits, read_limits

_S = 1_000_000_000
_URGENT_CONNECTIONS = 64
"""Each group and cancel-all may be asked for four times at once; shards that hang must leave room."""


def make_engine(runtime: Runtime[Config], buckets: TokenBuckets, latch: LatchFile) -> Engine:
    """Return the core with everything the configuration says."""
    config, name = runtime.config, runtime.common.account
    times = config.epoch.times()
    account = Account(
        name=name,
        run=runtime.run,
        gate=Gate(name, config.gate.limits(times)),
        journal=JournalWriter(runtime.env.value, name, 0),
        orders=OwnOrders(),
        positions=Positions(name),
        desk=RiskDesk(),
        places=QueuePlaces(is_used=config.planning.place_value_e4 > 0),
    )
    seal = Seal(secrets.token_bytes(32))
    planning = config.planning
    approver = Approver(account, seal, config.limits, planning.intent_age_ms_max * 1_000_000)
    engine = Engine(
        account=account,
        quoter=Quoter(
            account,
            approver,
            buckets,
            planning.rules(),
            planning.execution_mode,
            planning.batch_items,
            planning.batches_max,
            planning.priority,
        ),
        intake=Intake(
            account,
            runtime.env.value,
            int(config.evidence.read_lag_s * _S),
            config.evidence.misses_max,
            int(config.evidence.absent_after_s * _S),
        ),
        halting=Halting(account, latch.read()),
        epoch=EpochKeeper(times),
        seal=seal,
        closed_cancel_ns=int(config.gate.closed_cancel_s * _S),
    )
    engine.direct.terms = config.confirmation.terms()
    return engine


async def wire(runtime: Runtime[Config]) -> ExecutorApp:
    """Return the service; reads the account's budget from the venue first."""
    config, clock, bus, subjects = runtime.config, runtime.clock, runtime.bus, runtime.subjects
    signer = Signer.from_file(config.venue.key_id, Path(config.venue.key_file))
    presigner = Presigner(signer, clock)
    rest_url = config.venue.rest_url
    # A set of connections each: a cancel never queues behind a create, a read never before either, and a
    # halt behind nothing, not even cancels that the venue leaves hanging.
    orders = OrderSender(rest_url, make_transport(rest_url), presigner, clock)
    canceller = Canceller(rest_url, make_transport(rest_url), presigner, clock)
    urgent = Canceller(
        rest_url, make_transport(rest_url, connections_max=_URGENT_CONNECTIONS), presigner, clock
    )
    reader = VenueReader(rest_url, make_transport(rest_url), signer, clock)  # no order waits for a read
    presigner.watch(*orders.constant_routes, *canceller.constant_routes)
    limits, costs = await read_limits(reader)
    buckets = TokenBuckets(
        limits,
        costs,
        clock.mono_ns(),
        cancel_batch_items=config.planning.batch_items,
        backoff_max_ns=int(config.planning.backoff_max_s * _S),
    )
    latch = LatchFile(
        Path(runtime.common.state_dir), f"executor-{runtime.env.value}-{runtime.common.account}"
    )
    engine = make_engine(runtime, buckets, latch)

    def now() -> Now:
        return Now(clock.mono_ns(), clock.now_ns() // 1_000_000, bus.echo_age_ns)

    publisher = Publisher(bus, subjects, runtime.common.account, runtime.run, runtime.log)
    latch_writer = LatchWriter(latch, engine.account.gate, clock, runtime.log)
    performer = Performer(engine=engine, publisher=publisher, latch=latch_writer, log=runtime.log)
    perform = performer.perform
    flag = HaltFlag()
    sender = Sender(
        engine=engine,
        bus=bus,
        subjects=subjects,
        orders=orders,
        canceller=canceller,
        urgent=urgent,
        buckets=buckets,
        publisher=publisher,
        flag=flag,
        clock=clock,
        now=now,
        perform=perform,
    )
    control = ControlWatch(
        bus=bus,
        subjects=subjects,
        halting=engine.halting,
        on_latch=lambda state: perform(engine.on_latch(state)),
        admission=Admission(config.control.verifier(runtime.env, runtime.common.account)),
        now_ms=lambda: now().ms,
        limits=engine.limits,
        on_limits=lambda: perform(engine.on_limits(now())),
        log=runtime.log,
        run=runtime.run,
    )

    async def connect(on_closed: OnClosed) -> NatsBus:
        common = runtime.common
        return await NatsBus.connect(
            common.nats_url,
            name="executor",
            env=common.env,
            user=common.nats_user,
            password=_secret(common.nats_password_file),
            nkey_seed=_secret(common.nats_nkey_file),
            instance=f"{runtime.instance}-halt",
            on_closed=on_closed,
        )

    return ExecutorApp(
        engine=engine,
        bus=bus,
        subjects=subjects,
        clock=clock,
        log=runtime.log,
        latch=latch,
        listener=HaltListener(connect, subjects.all_of("ctl.halt"), flag, control.on_heard),
        control=control,
        performer=performer,
        publisher=publisher,
        sender=sender,
        killer=Killer(
            engine=engine,
            sender=sender,
            # Its own connections: a halt's listing queues behind nothing.
            reader=VenueReader(rest_url, make_transport(rest_url), signer, clock),
            env=runtime.env.value,
            now=now,
            perform=perform,
            heard_ns=lambda: flag.heard_ns,
        ),
        leadership=Leadership(
            engine=engine,
            bus=bus,
            subjects=subjects,
            orders=orders,
            canceller=canceller,
            presigner=presigner,
            limit_of=config.groups.limit_of,
            rest_s=config.groups.rest_s,
            holder=runtime.instance,
            run=runtime.run,
            build=runtime.build,
            config_hash=runtime.config_hash,
            log=runtime.log,
            now=now,
        ),
        recovering=Recovering(
            engine=engine,
            bus=bus,
            subjects=subjects,
            reader=reader,
            sender=sender,
            recovery=Recovery(runtime.env.value, config.evidence.clean_reads),
            log=runtime.log,
            now=now,
            perform=perform,
            gap_s=config.evidence.clean_gap_s,
        ),
        polls=Polls(
            engine=engine,
            reader=reader,
            now=now,
            perform=perform,
            look_s=config.evidence.look_s,
            compare_s=config.evidence.compare_s,
        ),
        orders=orders,
        presigner=presigner,
        projection=Projection(
            url=runtime.common.redis_url,
            root=subjects.root,
            engine=engine,
            metrics=runtime.metrics,
            log=runtime.log,
        ),
        signer=signer,
        ws_url=config.venue.ws_url,
        now=now,
        direct=DirectDesk(
            engine=engine,
            bus=bus,
            reader=reader,
            rules=config.flatten.rules(),
            env=runtime.env.value,
            log=runtime.log,
            now=now,
            perform=perform,
        ),
        limits=VenueLimits(reader=reader, buckets=buckets, now=now, perform=perform),
        queue_polls=QueuePolls(
            engine=engine,
            reader=reader,
            now=now,
            every_s=config.planning.queue_read_s,
            lag_s=config.evidence.read_lag_s,
        ),
    )


def _secret(path: str) -> str:
    return Path(path).read_text(encoding="utf-8").strip() if path else ""
