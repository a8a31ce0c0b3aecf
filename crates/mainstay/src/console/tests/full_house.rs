//! As many alerts fire as are kept.

use mainstay_web::view::PostableAlert;

use super::*;

fn alerts(numbers: std::ops::Range<u32>, ends_at: Option<Timestamp>) -> Vec<PostableAlert> {
    let alert = |number: u32| {
        let labels = [
            ("alertname".to_owned(), format!("Slow{}", number / 100)),
            ("number".to_owned(), number.to_string()),
            ("priority".to_owned(), "P3".to_owned()),
        ];
        PostableAlert {
            labels: labels.into_iter().collect(),
            annotations: Labels::new(),
            starts_at: None,
            ends_at,
            generator_url: None,
        }
    };
    numbers.map(alert).collect()
}

#[tokio::test]
async fn only_what_is_new_is_left_out_and_what_fires_goes_on() {
    const MOST: u32 = 40_000;
    let world = World::new().await;
    let who = reader(&[]);
    let take = async |alerts| world.console.take_alerts(&who, alerts).await;
    let in_5_min = world.clock.now() + jiff::SignedDuration::from_mins(5);
    for from in (0..MOST).step_by(5_000) {
        take(alerts(from..from + 5_000, Some(in_5_min)))
            .await
            .expect("there is room");
    }
    let firing = async || {
        world
            .console
            .plane
            .look(|states| states.alerts.firing().count())
            .await
    };
    assert_eq!(firing().await, 40_000);
    // Told again in time, beside one for which there is no room.
    world.clock.advance(jiff::SignedDuration::from_mins(4));
    let in_9_min = world.clock.now() + jiff::SignedDuration::from_mins(5);
    for from in (0..MOST).step_by(5_000) {
        let told = take(alerts(from..from + 5_001, Some(in_9_min))).await;
        let has_new = from + 5_001 > MOST;
        assert_eq!(told.is_err(), has_new, "{told:?}");
    }
    world.clock.advance(jiff::SignedDuration::from_mins(2));
    world.console.expire().await.expect("the journal works");
    assert_eq!(firing().await, 40_000, "what was told again is believed");
    // What is over makes room.
    let over = Some(world.clock.now());
    take(alerts(0..10, over)).await.expect("ends are taken");
    take(alerts(MOST..MOST + 10, None))
        .await
        .expect("there is room again");
    assert_eq!(firing().await, 40_000);
}
