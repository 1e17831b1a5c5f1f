//! The counts of a list. Pure.

use crate::{
    api::UserCounts,
    user_list::{UserList, UserStatus},
};

/// Counts the users by status.
pub(super) fn count_users(list: &UserList) -> UserCounts {
    let mut counts = UserCounts::default();
    for user in list.iter_users() {
        counts.total += 1;
        *match user.status {
            UserStatus::Active => &mut counts.active,
            UserStatus::Inactive => &mut counts.inactive,
            UserStatus::CannotDeleteEdit | UserStatus::CannotDeleteEditUpload => &mut counts.restricted,
            // Box may add restrictions.
            UserStatus::Other(name) if name.starts_with("cannot_delete_edit") => &mut counts.restricted,
            UserStatus::Other(_) => &mut counts.other,
        } += 1;
        counts.app += i64::from(user.app);
    }
    counts
}

/// The counts of a list of live and held users.
pub(super) fn add_held_counts(live: UserCounts, held: &UserCounts) -> UserCounts {
    UserCounts {
        total: live.total + held.total,
        active: live.active + held.active,
        inactive: live.inactive + held.inactive,
        restricted: live.restricted + held.restricted,
        other: live.other + held.other,
        app: live.app + held.app,
        held: held.total,
        removed: 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_list::{User, UserListBuilder};

    #[test]
    fn every_user_counts_under_one_status_and_app_users_also_as_app_users() {
        let statuses = [
            "active",
            "active",
            "inactive",
            "cannot_delete_edit",
            "cannot_delete_edit_upload",
            "cannot_delete_edit_share",
            "pending",
            "",
        ];
        let ids: Vec<String> = (0..statuses.len()).map(|id| id.to_string()).collect();
        let mut builder = UserListBuilder::default();
        builder.push_users(ids.iter().zip(statuses).map(|(id, status)| User {
            id,
            status: UserStatus::from_name(status),
            app: status == "inactive",
            ..User::default()
        }));
        let counts = count_users(&builder.build());
        assert_eq!(
            counts,
            UserCounts { total: 8, active: 2, inactive: 1, restricted: 3, other: 2, app: 1, held: 0, removed: 0 }
        );
        let with_held = add_held_counts(counts, &counts);
        assert_eq!(with_held.total, with_held.active + with_held.inactive + with_held.restricted + with_held.other);
        assert_eq!((with_held.total, with_held.held), (16, 8));
    }
}
