//! What is wrong with a design is named by its field.

use domain::experiment::{Bandit, Design};

use super::running;

#[test]
fn a_bandit_leaves_every_variant_something() {
    let faults = |floor: f64| Design { bandit: Some(Bandit { floor }), ..running("seed", &[0.5, 0.5]).design }.faults();
    for floor in [0.0, 0.0009, -0.1, 0.51, f64::NAN] {
        let [fault] = &faults(floor)[..] else { panic!("{floor}: {:?}", faults(floor)) };
        assert_eq!(fault.to_string(), format!("bandit.floor: floor {floor} must be from 0.001 to 1 / variants"));
    }
    assert!([0.001, 0.05, 0.5].into_iter().all(|floor| faults(floor).is_empty()));
}
