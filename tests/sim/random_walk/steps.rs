//! The steps of a walk, and how a seed chooses them.

use box_sim::Behaviour;
use kube_sim::Verb;
use proptest::{
    prelude::*,
    strategy::ValueTree,
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

use super::walk::CONNECTIONS;

const STEPS: usize = 30;

#[derive(Clone, Debug)]
pub(super) enum WalkStep {
    Hire(usize, u8),
    Leave(usize, prop::sample::Index),
    Rename(usize, prop::sample::Index, u32),
    Request(usize),
    RequestForNobody,
    DeleteRequest(prop::sample::Index),
    Deauthorize(usize),
    Authorize(usize),
    Suspend(usize, bool),
    Recreate(usize),
    DeleteRoster(usize),
    DeleteSlice(prop::sample::Index),
    CollectGarbage,
    /// Calls with this verb on this resource, and perhaps of one connection only, get this code.
    Refuse(Verb, &'static str, u16, Option<usize>),
    AllowAll,
    Outage,
    EndOutage,
    FreezeWatches,
    ThawWatches,
    BreakWatches,
    Box(usize, Behaviour),
    BoxRecovers(usize),
    Kill,
    KillAtWrite(usize),
    Restart,
    /// The leader is paused before one of its next writes, and another one takes over.
    PauseLeader(usize),
    ResumeLeader,
    StepClock(i64),
    Wait(u64),
}

fn walk_step() -> impl Strategy<Value = WalkStep> {
    let one = || 0..CONNECTIONS.len();
    let index = any::<prop::sample::Index>;
    let refusals = prop::sample::select(vec![
        (Verb::Update, "boxconnections/status"),
        (Verb::Update, "usersyncrequests/status"),
        (Verb::Create, "userslices"),
        (Verb::Delete, "userslices"),
        (Verb::Get, "userslices"),
        (Verb::List, "userslices"),
        (Verb::Create, "userrosters"),
        (Verb::Update, "userrosters"),
        (Verb::Get, "userrosters"),
        (Verb::Get, "boxconnections"),
        (Verb::Get, "usersyncrequests"),
        (Verb::Get, "secrets"),
        (Verb::Create, "events"),
    ]);
    let codes = prop::sample::select(vec![403_u16, 409, 413, 422, 429, 500, 503, 504]);
    let behaviours = prop::sample::select(vec![
        Behaviour::Unavailable,
        Behaviour::UnavailableWithRetryAfter,
        Behaviour::BadGateway,
        Behaviour::TruncatedJson,
        Behaviour::EmptyList,
        Behaviour::EndlessEmptyPages,
        Behaviour::Unauthorized,
        Behaviour::OtherEnterprise,
        Behaviour::NeverResponds,
        Behaviour::ShortPages,
        Behaviour::ShuffledOrder,
    ]);
    let changes = prop_oneof![
        (one(), 1_u8..4).prop_map(|(c, n)| WalkStep::Hire(c, n)),
        (one(), index()).prop_map(|(c, user)| WalkStep::Leave(c, user)),
        (one(), index(), any::<u32>()).prop_map(|(c, user, name)| WalkStep::Rename(c, user, name)),
    ];
    let users = prop_oneof![
        4 => one().prop_map(WalkStep::Request),
        1 => Just(WalkStep::RequestForNobody),
        1 => index().prop_map(WalkStep::DeleteRequest),
        1 => one().prop_map(WalkStep::Deauthorize),
        1 => one().prop_map(WalkStep::Authorize),
        1 => (one(), any::<bool>()).prop_map(|(c, suspend)| WalkStep::Suspend(c, suspend)),
        1 => one().prop_map(WalkStep::Recreate),
        1 => one().prop_map(WalkStep::DeleteRoster),
        1 => index().prop_map(WalkStep::DeleteSlice),
        1 => Just(WalkStep::CollectGarbage),
    ];
    let api_server = prop_oneof![
        5 => (refusals, codes, prop::option::of(one()))
            .prop_map(|((verb, resource), code, connection)| WalkStep::Refuse(verb, resource, code, connection)),
        2 => Just(WalkStep::AllowAll),
        1 => Just(WalkStep::Outage),
        1 => Just(WalkStep::EndOutage),
        1 => Just(WalkStep::FreezeWatches),
        1 => Just(WalkStep::ThawWatches),
        1 => Just(WalkStep::BreakWatches),
    ];
    let box_trouble = prop_oneof![
        (one(), behaviours).prop_map(|(c, behaviour)| WalkStep::Box(c, behaviour)),
        one().prop_map(WalkStep::BoxRecovers),
    ];
    let processes = prop_oneof![
        Just(WalkStep::Kill),
        (1_usize..8).prop_map(WalkStep::KillAtWrite),
        Just(WalkStep::Restart),
        (1_usize..8).prop_map(WalkStep::PauseLeader),
        Just(WalkStep::ResumeLeader),
        (-7200_i64..7200).prop_map(WalkStep::StepClock),
    ];
    let wait = prop_oneof![
        3 => 0_u64..30,
        3 => 30_u64..1200,
        2 => 1200_u64..10_000,
        1 => 10_000_u64..100_000,
    ];
    prop_oneof![
        3 => changes,
        4 => users,
        3 => api_server,
        2 => box_trouble,
        2 => processes,
        5 => wait.prop_map(WalkStep::Wait),
    ]
}

/// The steps of a seed.
pub(super) fn steps_of(seed: u64) -> Vec<WalkStep> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut runner = TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let steps = prop::collection::vec(walk_step(), STEPS);
    steps.new_tree(&mut runner).expect("steps without rejections").current()
}
