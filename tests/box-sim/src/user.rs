//! A user, and the generation of users from a seed.
//! A generated user is a function of seed, number and id, so the list stores only the number.

use crate::rng::Rng;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A user. Its JSON may differ, see `Behaviour`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// Box sends it as a string of digits.
    pub id: u64,
    pub name: String,
    pub login: String,
    pub status: String,
    pub role: String,
    /// An app user (`is_platform_access_only`).
    pub app: bool,
    pub external_app_user_id: Option<String>,
    pub created_at: Timestamp,
    pub modified_at: Timestamp,
    pub language: String,
    pub timezone: String,
    pub space_amount: u64,
    pub space_used: u64,
    pub max_upload_size: u64,
    pub job_title: String,
    /// Usually a string, sometimes a number, as in Box.
    pub phone: Value,
    pub address: String,
    /// `null`, `[]`, or an object with `email` and `is_confirmed`.
    pub notification_email: Value,
    /// Names and values, in the order in which Box sends them.
    #[serde(default)]
    pub tracking_codes: Vec<(String, String)>,
}

const GIVEN_NAMES: &[(&str, &str)] = &[
    ("Anna", "anna"),
    ("Bjørn", "bjorn"),
    ("Chloé", "chloe"),
    ("Dmitrij", "dmitrij"),
    ("Ebru", "ebru"),
    ("Fátima", "fatima"),
    ("George", "george"),
    ("花子", "hanako"),
    ("Ingrid", "ingrid"),
    ("José", "jose"),
    ("Kwame", "kwame"),
    ("Łukasz", "lukasz"),
    ("Mary-Jane", "maryjane"),
    ("Nadia", "nadia"),
    ("Óscar", "oscar"),
    ("Priya", "priya"),
    ("Quentin", "quentin"),
    ("Ruth", "ruth"),
    ("Søren", "soren"),
    ("太郎", "taro"),
    ("Uğur", "ugur"),
    ("Véronique", "veronique"),
    ("Wei", "wei"),
    ("Ζωή", "zoi"),
];
const FAMILY_NAMES: &[(&str, &str)] = &[
    ("Åkesson", "akesson"),
    ("Brown", "brown"),
    ("Çelik", "celik"),
    ("Dvořák", "dvorak"),
    ("Evans", "evans"),
    ("Fischer", "fischer"),
    ("García Márquez", "garcia"),
    ("Hughes", "hughes"),
    ("Ito", "ito"),
    ("Jónsdóttir", "jonsdottir"),
    ("Kowalski", "kowalski"),
    ("Lévy", "levy"),
    ("Müller", "mueller"),
    ("Nguyễn", "nguyen"),
    ("O'Neill", "oneill"),
    ("Petrov", "petrov"),
    ("山田", "yamada"),
    ("Smith \"Smitty\"", "smith"),
    ("Weiß", "weiss"),
    ("Παπαδόπουλος", "papadopoulos"),
];
const TITLES: &[&str] =
    &["", "", "Accountant", "CEO", "Engineer", "Leiterin Einkauf", "Legal counsel", "Sales, EMEA", "Support"];
const LANGUAGES: &[&str] = &["en", "en", "en", "de", "fr", "ja", "es", "pl"];
const TIMEZONES: &[&str] =
    &["America/Los_Angeles", "America/New_York", "Europe/Berlin", "Europe/London", "Asia/Tokyo", "Africa/Bujumbura"];
const STREETS: &[&str] =
    &["", "", "900 Jefferson Ave, Redwood City, CA 94063", "Hauptstraße 1, 10115 Berlin", "1-1 Chiyoda, Tokyo"];
const DEPARTMENTS: &[&str] = &["Sales", "Einkauf", "Human Resources", "IT", "Legal", "Support", "開発"];
/// 2015-01-01T00:00:00Z
const FIRST_SIGN_UP: i64 = 1_420_070_400;

impl User {
    /// The `n`th user of an enterprise: the same for the same seed.
    pub(crate) fn generate(seed: u64, n: u32, id: u64, domain: &str) -> Self {
        let mut rng = Rng::new(seed, u64::from(n));
        let (given, given_ascii) = rng.choose(GIVEN_NAMES);
        let (family, family_ascii) = rng.choose(FAMILY_NAMES);
        let app = rng.next_below(50) == 0;
        let created_at = Timestamp::from_second(FIRST_SIGN_UP).unwrap_or_default() + hours(rng.next_below(80_000));
        let status = match rng.next_below(1000) {
            0..=1 => "pending", // not in Box's description: a status that came later
            2..=11 => "cannot_delete_edit_upload",
            12..=31 => "cannot_delete_edit",
            32..=120 => "inactive",
            _ => "active",
        };
        let role = match (n, rng.next_below(100)) {
            (0, _) => "admin",
            (_, 0..=1) if !app => "coadmin",
            _ => "user",
        };
        let login = if app {
            format!("AppUser_{n}_{}@boxdevedition.com", crate::rng::random_alphanumeric(seed ^ id, 10))
        } else {
            format!("{given_ascii}.{family_ascii}.{n}@{domain}")
        };
        let (mail_kind, mail) = (rng.next_below(12), format!("{given_ascii}.{n}@home.example"));
        let (phone_kind, phone) = (rng.next_below(16), 6_500_000_000 + rng.next_below(99_999_999));
        Self {
            id,
            name: format!("{given} {family}"),
            login,
            status: status.to_owned(),
            role: role.to_owned(),
            app,
            external_app_user_id: app.then(|| format!("external-{n}")),
            created_at,
            modified_at: created_at + hours(rng.next_below(9_000)),
            language: (*rng.choose(LANGUAGES)).to_owned(),
            timezone: (*rng.choose(TIMEZONES)).to_owned(),
            space_amount: if rng.next_below(3) == 0 { 999_999_999_999_999 } else { 10_737_418_240 },
            space_used: rng.next_below(10_737_418_240),
            max_upload_size: 5_368_709_120,
            job_title: (*rng.choose(TITLES)).to_owned(),
            phone: match phone_kind {
                0 => json!(phone),
                1..=8 => json!(phone.to_string()),
                _ => json!(""),
            },
            address: (*rng.choose(STREETS)).to_owned(),
            notification_email: match mail_kind {
                0 => json!([]),
                1 => json!({"email": mail, "is_confirmed": true}),
                _ => Value::Null,
            },
            tracking_codes: Vec::new(),
        }
    }

    /// The tracking codes of the `n`th user of an enterprise that has them switched on. A few users have none.
    pub(crate) fn generate_tracking_codes(seed: u64, n: u32) -> Vec<(String, String)> {
        let mut rng = Rng::new(!seed, u64::from(n));
        if rng.next_below(20) == 0 {
            return Vec::new();
        }
        let department = rng.choose(DEPARTMENTS);
        let cost_centre = 4_000 + rng.next_below(40);
        [("department", (*department).to_owned()), ("cost centre", cost_centre.to_string())]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }
}

fn hours(n: u64) -> SignedDuration {
    SignedDuration::from_hours(i64::try_from(n).unwrap_or_default())
}

/// Ids of seven to eleven digits, as in an enterprise that grew over years.
pub(crate) fn generate_user_id(seed: u64, stream: u64) -> u64 {
    let mut rng = Rng::new(!seed, stream);
    let digits = *rng.choose(&[7, 8, 8, 9, 9, 9, 10, 10, 10, 10, 11, 11, 11, 11, 11]);
    let smallest = 10_u64.pow(digits - 1);
    smallest + rng.next_below(smallest * 9)
}
